// SPDX-License-Identifier: Apache-2.0
#include "tests/dht/kad/sim_network.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "userspace/base/task_group.hpp"

namespace hagring::kad::test {

class SimNetwork::Port final : public Rpc {
 public:
  Port(SimNetwork& network, PeerInfo self) : network_(network), self_(std::move(self)) {}

  awaitable<Result<Message>> ask(PeerInfo peer, Message request, Duration limit) override {
    ++network_.contacts;
    ++network_.requests;
    CO_CHECK(co_await travel(peer.id, limit));
    auto reply = deliver(peer.id, request);
    co_await network_.clock_.sleep_for(network_.latency());
    if (co_await asked_to_stop()) co_return Errc::cancelled;
    if (!reply) co_return reply.error();
    if (!*reply) co_return Errc::bad_message;
    co_return std::move(**reply);
  }

  awaitable<Result<void>> tell(PeerInfo peer, std::vector<Message> messages,
                               Duration limit) override {
    ++network_.contacts;
    network_.requests += messages.size();
    network_.stored += messages.size();
    CO_CHECK(co_await travel(peer.id, limit));
    for (const Message& message : messages) {
      if (auto done = deliver(peer.id, message); !done) co_return done.error();
    }
    co_return Result<void>();
  }

 private:
  /// The way there; nobody there is a wait until the limit.
  awaitable<Result<void>> travel(PeerId to, Duration limit) {
    const bool arrives = network_.connected(self_.id, to);
    co_await network_.clock_.sleep_for(arrives ? network_.latency() : limit);
    if (co_await asked_to_stop()) co_return Errc::cancelled;
    if (!arrives || !network_.is_up(to)) co_return Errc::timed_out;
    co_return Result<void>();
  }

  Result<std::optional<Message>> deliver(const PeerId& to, const Message& message) {
    const Handler handler = network_.nodes_.at(to);
    if (!network_.options_.wire) return handler(self_, message);
    auto read = decode_message(encode(message));
    if (!read) return read.error();
    auto reply = handler(self_, *read);
    if (!reply || !*reply) return reply;
    auto answer = decode_message(encode(**reply));
    if (!answer) return answer.error();
    return std::optional(std::move(*answer));
  }

  SimNetwork& network_;
  PeerInfo self_;
};

std::uint64_t SimNetwork::seed() {
  const char* given = std::getenv("HAGRING_SIM_SEED");
  const std::uint64_t seed =
      given
          ? std::strtoull(given, nullptr, 10)
          : static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  std::printf("HAGRING_SIM_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

void SimNetwork::attach(const PeerId& peer, Handler handler) {
  nodes_.insert_or_assign(peer, std::move(handler));
}

std::unique_ptr<Rpc> SimNetwork::rpc(const PeerInfo& self) {
  return std::make_unique<Port>(*this, self);
}

Duration SimNetwork::latency() {
  const auto spread = options_.most_latency - options_.least_latency;
  return options_.least_latency +
         std::chrono::duration_cast<Duration>(spread * (rng_.fraction() * rng_.fraction()));
}

bool SimNetwork::connected(const PeerId& from, const PeerId& to) {
  if (options_.loss > 0 && rng_.fraction() < options_.loss) return false;
  return is_up(to) && (!reachable_ || reachable_(from, to));
}

}  // namespace hagring::kad::test
