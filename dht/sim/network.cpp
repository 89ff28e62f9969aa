// SPDX-License-Identifier: Apache-2.0
#include "dht/sim/network.hpp"

#include "userspace/base/task_group.hpp"

namespace hagring::sim {

using kad::Message;
using kad::PeerId;
using kad::PeerInfo;

class SimNetwork::Port final : public kad::Rpc {
 public:
  Port(SimNetwork& network, PeerInfo self) : network_(network), self_(std::move(self)) {}

  awaitable<Result<Message>> ask(PeerInfo peer, Message request, Duration limit) override {
    ++network_.counters_.contacts;
    ++network_.counters_.requests;
    CO_CHECK(co_await travel(peer.id, limit));
    auto reply = deliver(network_.nodes_.at(peer.id), request);
    if (reply && *reply) ++network_.counters_.replies;
    co_await network_.clock_.sleep_for(
        latency(network_.options_.latency, network_.rng_, peer.id, self_.id));
    if (co_await asked_to_stop()) co_return Errc::cancelled;
    if (!reply) co_return reply.error();
    if (!*reply) co_return Errc::bad_message;
    co_return std::move(**reply);
  }

  awaitable<Result<void>> tell(PeerInfo peer, std::vector<Message> messages,
                               Duration limit) override {
    ++network_.counters_.contacts;
    network_.counters_.requests += messages.size();
    network_.counters_.stored += messages.size();
    CO_CHECK(co_await travel(peer.id, limit));
    const Handler handler = network_.nodes_.at(peer.id);
    for (const Message& message : messages) {
      // As on a stream: what was written is not taken back by a later refusal.
      if (auto done = deliver(handler, message); !done) break;
    }
    co_return Result<void>();
  }

  kad::Ip remote(const PeerInfo& peer) const override {
    const auto machine = network_.machines_.find(peer.id);
    return machine == network_.machines_.end() ? peer.claimed_ip() : machine->second;
  }

 private:
  /// The way there; nobody there is a wait until the limit.
  awaitable<Result<void>> travel(PeerId to, Duration limit) {
    const bool arrives = network_.connected(self_.id, to);
    co_await network_.clock_.sleep_for(arrives ? network_.time_to(self_.id, to) : limit);
    if (co_await asked_to_stop()) co_return Errc::cancelled;
    if (arrives && network_.is_up(to)) co_return Result<void>();
    ++network_.counters_.failed;
    co_return Errc::timed_out;
  }

  Result<std::optional<Message>> deliver(const Handler& handler, const Message& message) {
    if (!network_.options_.wire) return handler(self_, message);
    auto read = carry(message);
    if (!read) return read.error();
    auto reply = handler(self_, *read);
    if (!reply || !*reply) return reply;
    auto answer = carry(**reply);
    if (!answer) return answer.error();
    return std::optional(std::move(*answer));
  }

  Result<Message> carry(const Message& message) {
    const Bytes bytes = encode(message);
    network_.counters_.bytes += bytes.size();
    return kad::decode_message(bytes);
  }

  SimNetwork& network_;
  PeerInfo self_;
};

void SimNetwork::attach(const PeerId& peer, Handler handler) {
  nodes_.insert_or_assign(peer, std::move(handler));
}

std::unique_ptr<kad::Rpc> SimNetwork::rpc(const PeerInfo& self) {
  return std::make_unique<Port>(*this, self);
}

bool SimNetwork::connected(const PeerId& from, const PeerId& to) {
  if (options_.loss > 0 && rng_.fraction() < options_.loss) return false;
  return is_up(to) && (!reachable_ || reachable_(from, to));
}

Duration SimNetwork::time_to(const PeerId& from, const PeerId& to) {
  const auto delay = delays_.find(to);
  return latency(options_.latency, rng_, from, to) +
         (delay == delays_.end() ? Duration(0) : delay->second);
}

}  // namespace hagring::sim
