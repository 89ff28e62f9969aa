// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>

#include "dht/net/connection_table.hpp"
#include "dht/net/dial_backoff.hpp"
#include "dht/net/signal.hpp"

namespace hagring::dht {

/// Dials to peers, one at a time to each, shared by all who want that peer. A peer's addresses are
/// raced: the next one begins when the last one has failed, or after a while without an answer.
/// Used from one thread.
class PeerDials {
 public:
  using Entry = ConnectionTable::Entry;
  /// Makes a connection to one address of a peer.
  using Connect = std::function<awaitable<Result<Entry>>(asio::ip::tcp::endpoint, PeerId)>;

  /// Between the beginnings of attempts (RFC 8305, section 5, "Connection Attempt Delay").
  static constexpr Duration kAttemptDelay = std::chrono::milliseconds(250);
  /// Threat: a peer that is said to have a thousand addresses.
  static constexpr std::size_t kMaxAddresses = 16;

  /// `clock` and `tasks`, which must be drained before this goes, outlive it.
  PeerDials(Clock& clock, TaskGroup& tasks, DialBackoff::Options backoff, Connect connect)
      : clock_(clock), tasks_(tasks), backoff_(clock, backoff), connect_(std::move(connect)) {}

  /// Waits for the connection. Cancelling a caller leaves the dial to the others. Errors: the last
  /// attempt's, also when that was a while ago and its address rests; Errc::unavailable without an
  /// address; Errc::cancelled.
  awaitable<Result<Entry>> dial(PeerId peer, std::vector<asio::ip::tcp::endpoint> addresses);

  /// A peer is there: what failed may be tried at once, and who waits for a dial to it has this
  /// connection. (Two that dial each other don't both end their own so: whom a connection comes
  /// from has it already.)
  void arrived(const Entry& connection);

 private:
  /// One dial; shared by its task and those who wait for it.
  struct Dial;
  using Shared = std::shared_ptr<Dial>;

  void consider(Dial& dial, const std::vector<asio::ip::tcp::endpoint>& addresses);
  awaitable<void> race(Shared dial);
  void begin_attempt(const Shared& dial);
  awaitable<void> attempt(Shared dial, asio::ip::tcp::endpoint address);

  Clock& clock_;
  TaskGroup& tasks_;
  DialBackoff backoff_;
  const Connect connect_;
  std::map<PeerId, Shared> dials_;
};

}  // namespace hagring::dht
