// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/guarded_rpc.hpp"

namespace hagring::kad {

awaitable<Result<Message>> GuardedRpc::ask(PeerInfo peer, Message request, Duration limit) {
  auto reply = co_await network_.ask(std::move(peer), std::move(request), limit);
  note(reply.has_value(), reply.has_value() ? error_code() : reply.error());
  if (reply) {
    filter(reply->closer_peers);
    filter(reply->provider_peers);
  }
  co_return reply;
}

awaitable<Result<void>> GuardedRpc::tell(PeerInfo peer, std::vector<Message> messages,
                                         Duration limit) {
  // That it was written says little of who reads it: only failures count.
  auto told = co_await network_.tell(std::move(peer), std::move(messages), limit);
  if (!told) note(false, told.error());
  co_return told;
}

PeerInfo GuardedRpc::dialable(PeerInfo peer) const {
  std::erase_if(peer.addresses, [this](const Multiaddr& address) { return !allowed_(address); });
  return peer;
}

void GuardedRpc::filter(std::vector<PeerInfo>& peers) const {
  // Threat: a peer that names loopback, or an address outside the cluster, would make us dial it.
  std::erase_if(peers, [this](PeerInfo& peer) {
    peer = dialable(std::move(peer));
    return peer.addresses.empty();
  });
}

void GuardedRpc::note(bool succeeded, const error_code& error) {
  if (succeeded) {
    failures_in_a_row_ = 0;
  } else if (!is_cancelled(error)) {
    ++failures_in_a_row_;
  }
}

}  // namespace hagring::kad
