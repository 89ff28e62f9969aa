// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <memory>

#include "dht/net/signal.hpp"
#include "dht/net/yamux.hpp"
#include "dht/net/yamux_entry.hpp"
#include "dht/net/yamux_frame.hpp"

namespace hagring::dht {

/// The session behind YamuxSession and its streams.
class YamuxState {
 public:
  using Entry = std::shared_ptr<YamuxEntry>;

  YamuxState(std::unique_ptr<ByteStream> below, YamuxSession::Role role, Clock& clock,
             const asio::any_io_executor& executor, YamuxOptions options);
  YamuxState(const YamuxState&) = delete;
  YamuxState& operator=(const YamuxState&) = delete;
  ~YamuxState() {
    budget_->buffered -= buffered_;
    budget_->queued -= queue_.size();
  }

  awaitable<error_code> read_frames();
  awaitable<void> write_frames();
  awaitable<void> keep_alive();
  awaitable<Result<void>> ping();
  /// Ends the session: the first reason stays.
  void end(error_code reason);
  /// Sends GOAWAY after a breach of the protocol, as far as that goes without waiting long.
  awaitable<void> say_goodbye();

  Result<Entry> open();
  awaitable<Result<Entry>> accept();

  void send(YamuxHeader header, ByteView payload = {});
  /// Tells the peer about what has been read, by half a window at a time.
  void return_credit(YamuxEntry& entry, std::size_t read);
  void finish(YamuxEntry& entry);
  void abandon(YamuxEntry& entry);
  bool has_room() const;

  error_code error;
  std::map<std::uint32_t, Entry> entries;

 private:
  awaitable<Result<void>> handle(YamuxHeader header);
  awaitable<Result<void>> receive(Entry entry, std::uint32_t size);
  awaitable<Result<void>> drain(std::uint32_t size);
  Result<void> admit(const YamuxHeader& header);
  void apply_flags(const YamuxHeader& header, const Entry& entry);
  void drop(const Entry& entry, error_code reason);
  std::uint32_t send_ping();
  void answer_ping(const YamuxHeader& header);
  bool knows(const YamuxEntry& entry) const;
  void forget(const YamuxEntry& entry);
  void forget_if_finished(const YamuxEntry& entry);
  void reset(std::uint32_t stream, std::uint32_t code);
  /// Counts bytes that came and wait to be read, or that no longer do.
  void hold(std::size_t size);
  void let_go(std::size_t size);
  /// Which limit `more` bytes of a stream that wait to be read would break; empty: none.
  std::string_view why_full(const YamuxEntry& entry, std::size_t more) const;
  /// Resets `stream` since a limit is reached; the log says so once a session.
  void refuse(std::uint32_t stream, std::string_view why);
  std::size_t count(bool inbound) const;

  std::unique_ptr<ByteStream> below_;
  Clock& clock_;
  asio::any_io_executor executor_;
  YamuxOptions options_;
  std::shared_ptr<YamuxBudget> budget_;  ///< shared by all sessions of a host
  std::uint32_t peer_parity_;
  std::uint32_t next_id_;
  std::deque<Entry> waiting_;  ///< opened by the peer and not accepted yet
  Signal arrived_, queued_, pong_;
  Bytes queue_;  ///< frames to be sent
  bool sending_ = false;
  bool leaving_ = false;
  std::size_t buffered_ = 0;
  bool told_to_go_ = false;
  bool told_limit_ = false;
  std::uint32_t ping_value_ = 0;
  std::uint32_t pong_value_ = 0;  ///< of the last ping that was answered
};

}  // namespace hagring::dht
