// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "dht/net/signal.hpp"
#include "dht/net/yamux.hpp"
#include "userspace/base/bytes.hpp"

namespace hagring::dht {

/// Initial credit each way; not negotiated (spec.md, "Flow Control").
inline constexpr std::uint32_t kYamuxWindow = 256 * 1024;

/// Bytes between a session that receives and a user who reads. Takes memory for what isn't read
/// yet, and a few times as much at most.
class YamuxBuffer {
 public:
  std::size_t size() const { return bytes_.size() - taken_; }
  void append(ByteView bytes);
  /// Moves as many bytes as there are and fit to `into`, and returns how many.
  std::size_t take(MutableBytes into);
  void clear();

 private:
  void compact();

  Bytes bytes_;
  std::size_t taken_ = 0;  ///< of bytes_, from the front
};

/// What is known of one stream. Shared by its YamuxStream, while that lives, and the session.
struct YamuxEntry {
  YamuxEntry(std::uint32_t number, bool is_inbound, std::shared_ptr<YamuxBudget> shared,
             const asio::any_io_executor& executor)
      : id(number),
        inbound(is_inbound),
        budget(std::move(shared)),
        readable(executor),
        writable(executor) {
    if (inbound) ++budget->streams;
  }
  YamuxEntry(const YamuxEntry&) = delete;
  YamuxEntry& operator=(const YamuxEntry&) = delete;
  ~YamuxEntry() {
    if (inbound) --budget->streams;
  }

  std::uint32_t id;
  bool inbound;
  std::shared_ptr<YamuxBudget> budget;  ///< shared by all sessions of a host
  YamuxBuffer received;
  std::uint32_t receive_credit = kYamuxWindow;  ///< what the peer may still send
  std::uint32_t owed_credit = 0;                ///< read, and not told to the peer yet
  std::uint64_t send_credit = kYamuxWindow;
  bool finished_by_peer = false;
  bool finished_by_us = false;
  error_code error;  ///< why the stream ended before its end
  Signal readable, writable;
};

}  // namespace hagring::dht
