// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "dht/kad/rpc.hpp"

namespace hagring::kad {

/// What stands between the other parts of Kademlia and the network: takes out of replies what may
/// not be dialled, and notes whether anybody answers.
class GuardedRpc final : public Rpc {
 public:
  using Allowed = std::function<bool(const Multiaddr&)>;

  GuardedRpc(Rpc& network, Allowed allowed) : network_(network), allowed_(std::move(allowed)) {}

  awaitable<Result<Message>> ask(PeerInfo peer, Message request, Duration limit) override;
  awaitable<Result<void>> tell(PeerInfo peer, std::vector<Message> messages,
                               Duration limit) override;
  Ip remote(const PeerInfo& peer) const override { return network_.remote(peer); }

  /// `peer` with those of its addresses only that may be dialled.
  PeerInfo dialable(PeerInfo peer) const;

  /// How many requests in a row have failed since the last that was answered.
  std::size_t failures_in_a_row() const { return failures_in_a_row_; }

 private:
  void filter(std::vector<PeerInfo>& peers) const;
  void note(bool succeeded, const error_code& error);

  Rpc& network_;
  Allowed allowed_;
  std::size_t failures_in_a_row_ = 0;
};

}  // namespace hagring::kad
