// SPDX-License-Identifier: Apache-2.0
#include "dht/sim/simulation.hpp"

#include "dht/sim/peers.hpp"

namespace hagring::sim {
namespace {

using std::chrono::seconds;

constexpr Duration kSearchLimit = std::chrono::minutes(2);
/// Searches that run at the same time.
constexpr std::size_t kSearchesAtOnce = 64;

double milliseconds(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace

void SearchStatistics::add(const Found& result) {
  ++searches;
  messages.add(static_cast<double>(result.result.messages));
  total.add(milliseconds(result.total));
  if (result.result.providers == 0) return;
  ++found;
  rounds.add(static_cast<double>(result.result.rounds_to_provider));
  first.add(milliseconds(result.first));
}

Simulation::Simulation(SimulationOptions options)
    : options_(std::move(options)),
      rng_(options_.seed),
      network_(clock_, options_.seed + 1, options_.network),
      tasks_(context_.get_executor(), "the simulation") {}

Simulation::~Simulation() {
  tasks_.cancel();
  for (auto& node : nodes_) {
    if (!node) continue;
    node->end();
    ending_.push_back(std::move(node));
  }
  const auto all_ended = [this] {
    bury();
    return ending_.empty() && tasks_.size() == 0;
  };
  clock_.run_until(all_ended, clock_.now() + std::chrono::minutes(10));
}

void Simulation::add(std::uint32_t number, std::vector<std::string> keys, const Bytes& snapshot) {
  if (number >= nodes_.size()) nodes_.resize(number + 1);
  const SimNode::Identity identity{numbered_peer(number, options_.seed), number, std::move(keys)};
  nodes_[number] = std::make_unique<SimNode>(context_.get_executor(), clock_, network_, identity,
                                             rng_.next(), options_.kad);
  nodes_[number]->start(numbered_peer(0, options_.seed), snapshot);
}

std::vector<std::string> Simulation::keys_of(std::uint32_t number) const {
  std::vector<std::string> keys;
  for (std::uint32_t i = 0; i < options_.keys_per_node; ++i) {
    keys.push_back("sha256:" + std::to_string(number) + "/" + std::to_string(i));
  }
  return keys;
}

bool Simulation::grow(Duration limit) {
  for (std::uint32_t number = 0; number < options_.nodes; ++number) {
    add(number, {}, {});
    clock_.run_for(std::chrono::duration_cast<Duration>(seconds(1) / options_.starts_per_second));
  }
  return run_until(
      [this] {
        return std::ranges::all_of(nodes_, [](const auto& node) { return node->is_ready(); });
      },
      limit);
}

bool Simulation::provide(Duration limit) {
  for (std::uint32_t number = 0; number < size(); ++number) {
    if (nodes_[number]) nodes_[number]->provide(keys_of(number));
  }
  return run_until(
      [this] {
        return std::ranges::all_of(up(),
                                   [](const auto* node) { return node->kad().untold_keys() == 0; });
      },
      limit);
}

bool Simulation::run_until(const std::function<bool()>& done, Duration limit) {
  for (const TimePoint end = clock_.now() + limit; !done();) {
    if (clock_.now() >= end) return false;
    clock_.run_for(seconds(1));
    bury();
  }
  return true;
}

void Simulation::bury() {
  std::erase_if(ending_, [](const auto& node) { return node->ended(); });
}

std::vector<const SimNode*> Simulation::up() const {
  std::vector<const SimNode*> nodes;
  for (const auto& node : nodes_) {
    if (node && node->is_up()) nodes.push_back(node.get());
  }
  return nodes;
}

SimNode& Simulation::random_up() {
  while (true) {
    SimNode* node = nodes_[rng_.below(nodes_.size())].get();
    if (node && node->is_up()) return *node;
  }
}

HeldKey Simulation::random_key() {
  while (true) {
    const SimNode::Identity& holder = random_up().identity();
    if (holder.keys.empty()) continue;
    return {holder.keys[rng_.below(holder.keys.size())], holder.number};
  }
}

std::vector<HeldKey> Simulation::keys(std::size_t most) {
  std::vector<HeldKey> all;
  for (const SimNode* node : up()) {
    for (const std::string& key : node->identity().keys) {
      all.push_back({key, node->identity().number});
    }
  }
  for (std::size_t i = 0; i < std::min(most, all.size()); ++i) {
    std::swap(all[i], all[i + rng_.below(all.size() - i)]);
  }
  all.resize(std::min(most, all.size()));
  return all;
}

void Simulation::search(const HeldKey& key, bool all, std::function<void(const Found&)> done) {
  const auto others = [&](const SimNode* node) { return node->identity().number != key.holder; };
  if (!std::ranges::any_of(up(), others)) return;
  SimNode* node = &random_up();
  while (!others(node)) node = &random_up();
  node->find(key.name, all, std::move(done));
}

SearchStatistics Simulation::search(std::size_t count, bool all) {
  SearchStatistics statistics;
  std::size_t started = 0;
  std::size_t running = 0;
  const auto go_on = [&] {
    for (; started < count && running < kSearchesAtOnce; ++started, ++running) {
      search(random_key(), all, [&](const Found& found) {
        statistics.add(found);
        --running;
      });
    }
    return running == 0;
  };
  clock_.run_until(go_on, clock_.now() + kSearchLimit * (1 + count / kSearchesAtOnce));
  if (running > 0) throw std::logic_error("a search did not end");
  return statistics;
}

SearchStatistics Simulation::search(std::vector<HeldKey>& keys) {
  SearchStatistics statistics;
  std::vector<HeldKey> missed;
  std::size_t running = 0;
  const auto go_on = [&] {
    for (; !keys.empty() && running < kSearchesAtOnce; ++running) {
      search(keys.back(), false, [&, key = keys.back()](const Found& found) {
        statistics.add(found);
        if (found.result.providers == 0) missed.push_back(key);
        --running;
      });
      keys.pop_back();
    }
    return running == 0;
  };
  clock_.run_until(go_on, clock_.now() + kSearchLimit * (1 + keys.size() / kSearchesAtOnce));
  if (running > 0) throw std::logic_error("a search did not end");
  keys = std::move(missed);
  return statistics;
}

void Simulation::kill(double share) {
  std::size_t left = up().size();
  for (std::size_t number = 1; number < nodes_.size() && left > 2; ++number) {
    if (!nodes_[number] || rng_.fraction() >= share) continue;
    --left;
    nodes_[number]->end();
    ending_.push_back(std::move(nodes_[number]));
  }
}

void Simulation::replace_one() {
  if (up().size() < 2) return;
  std::uint32_t number = 0;
  while (number == 0) number = random_up().identity().number;
  nodes_[number]->end();
  ending_.push_back(std::move(nodes_[number]));
  add(size(), keys_of(size()), {});
}

void Simulation::restart(std::uint32_t number, Duration pause) {
  if (!nodes_[number]) return;
  const Bytes snapshot = nodes_[number]->kad().snapshot();
  auto keys = nodes_[number]->identity().keys;
  nodes_[number]->end();
  ending_.push_back(std::move(nodes_[number]));
  tasks_.spawn([this, number, pause, snapshot, keys]() -> awaitable<void> {
    co_await clock_.sleep_for(pause);
    if (!co_await asked_to_stop()) add(number, keys, snapshot);
  });
}

void Simulation::split(double share) {
  std::unordered_map<kad::PeerId, bool> side;
  for (const SimNode* node : up()) side[node->identity().info.id] = rng_.fraction() < share;
  network_.partition([side = std::move(side)](const kad::PeerId& from, const kad::PeerId& to) {
    const auto a = side.find(from);
    const auto b = side.find(to);
    return a != side.end() && b != side.end() && a->second == b->second;
  });
}

double Simulation::placed_right(const std::vector<HeldKey>& keys) const {
  const auto nodes = up();
  double placed = 0;
  double wanted = 0;
  for (const HeldKey& key : keys) {
    const kad::Key target = kad::Key::of(kad::content_wire_key(key.name));
    std::vector<std::pair<kad::Key, const SimNode*>> order;
    for (const SimNode* node : nodes) {
      if (node->identity().number == key.holder) continue;
      order.emplace_back(kad::distance(target, node->kad().table().self_key()), node);
    }
    const std::size_t size = std::min(order.size(), options_.kad.lookups.k);
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(size),
                      order.end());
    for (std::size_t i = 0; i < size; ++i) {
      if (!order[i].second->kad().records().find(target).empty()) placed += 1;
    }
    wanted += static_cast<double>(size);
  }
  return wanted == 0 ? 0 : placed / wanted;
}

}  // namespace hagring::sim
