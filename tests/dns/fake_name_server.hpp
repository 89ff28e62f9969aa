// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "userspace/base/bytes.hpp"
#include "userspace/base/unique_fd.hpp"

namespace hagring::dns::test {

/// A name server on a loopback address, UDP and TCP, with plain blocking calls on a thread of its
/// own.
class FakeNameServer {
 public:
  /// Its reply; nullopt: silence (and over TCP an open connection).
  using Answer = std::function<std::optional<Bytes>(const Bytes& query, bool tcp)>;

  FakeNameServer(const std::string& address, std::uint16_t port, Answer answer);
  ~FakeNameServer();

  int queries() const { return queries_; }

 private:
  void serve();
  void serve_datagram();
  void serve_stream();

  Answer answer_;
  UniqueFd udp_, tcp_, client_;
  std::atomic<int> queries_{0};
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

/// A port that is free for UDP and TCP on all of loopback.
std::uint16_t free_port();

}  // namespace hagring::dns::test
