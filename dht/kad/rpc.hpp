// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "dht/kad/message.hpp"
#include "dht/kad/peer.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::kad {

/// How requests reach other nodes: libp2p's streams in the agent, a simulated network in tests.
/// Each call is bounded by `limit`, dialling included, and ends soon after it is cancelled.
class Rpc {
 public:
  virtual ~Rpc() = default;

  /// Sends `request` and returns the reply. Errors: Errc::timed_out, Errc::unavailable,
  /// Errc::bad_message, Errc::cancelled.
  virtual awaitable<Result<Message>> ask(PeerInfo peer, Message request, Duration limit) = 0;

  /// Sends messages that have no reply (ADD_PROVIDER) in their order on one stream. Success means
  /// that they were written, no more.
  virtual awaitable<Result<void>> tell(PeerInfo peer, std::vector<Message> messages,
                                       Duration limit) = 0;

  /// The other end of a connection with `peer`, which isn't the peer's to choose; unknown when
  /// there is none.
  virtual Ip remote(const PeerInfo& peer) const = 0;
};

}  // namespace hagring::kad
