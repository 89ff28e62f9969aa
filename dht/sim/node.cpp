// SPDX-License-Identifier: Apache-2.0
#include "dht/sim/node.hpp"

namespace hagring::sim {
namespace {

/// How often the owner looks whether it must bootstrap.
constexpr Duration kLook = std::chrono::seconds(5);

kad::KadOptions with_addresses(kad::KadOptions options, const kad::PeerInfo& info) {
  options.own_addresses = [addresses = info.addresses] { return addresses; };
  return options;
}

}  // namespace

SimNode::SimNode(asio::any_io_executor executor, SimClock& clock, SimNetwork& network,
                 Identity identity, std::uint64_t seed, const kad::KadOptions& options)
    : clock_(clock),
      network_(network),
      identity_(std::move(identity)),
      rpc_(network.rpc(identity_.info)),
      rng_(seed),
      kad_(executor, clock, rng_, *rpc_, identity_.info.id,
           with_addresses(options, identity_.info)),
      tasks_(executor, "a simulated node") {}

void SimNode::start(const kad::PeerInfo& bootstrap, const Bytes& snapshot) {
  up_ = true;
  if (!snapshot.empty() && !kad_.restore(snapshot)) {
    throw std::logic_error("a node can't read the snapshot that it wrote");
  }
  kad_.provide(identity_.keys);
  network_.attach(identity_.info.id,
                  [this](const kad::PeerInfo& sender, const kad::Message& request) {
                    return kad_.handle(sender, request);
                  });
  tasks_.spawn([this] { return kad_.run(); });
  tasks_.spawn([this, bootstrap] { return live(bootstrap); });
}

awaitable<void> SimNode::live(kad::PeerInfo bootstrap) {
  const bool first = bootstrap.id == identity_.info.id;
  while (!co_await asked_to_stop()) {
    std::vector<kad::PeerInfo> seeds;
    if (!first) seeds.push_back(bootstrap);
    if (!ready_ || kad_.is_cut_off()) ready_ = co_await kad_.join(std::move(seeds)) || first;
    co_await clock_.sleep_for(kLook);
  }
}

void SimNode::provide(const std::vector<std::string>& keys) {
  identity_.keys.insert(identity_.keys.end(), keys.begin(), keys.end());
  kad_.provide(keys);
}

void SimNode::end() {
  if (!up_) return;
  up_ = false;
  network_.detach(identity_.info.id);
  tasks_.cancel();
  tasks_.spawn([this] { return kad_.stop(); });
}

void SimNode::find(std::string key, bool all, std::function<void(const Found&)> done) {
  tasks_.spawn([this, key = std::move(key), all, done = std::move(done)]() -> awaitable<void> {
    const TimePoint before = clock_.now();
    Found found;
    found.result = co_await kad_.find_providers(key, [&](const kad::PeerInfo&) {
      if (found.result.providers++ == 0) found.first = clock_.now() - before;
      return all;
    });
    found.total = clock_.now() - before;
    if (up_) done(found);
  });
}

}  // namespace hagring::sim
