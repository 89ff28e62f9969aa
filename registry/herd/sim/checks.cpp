// SPDX-License-Identifier: Apache-2.0
// What goes wrong on purpose, and what must hold all the time.
#include <fmt/core.h>

#include <algorithm>

#include "registry/herd/sim/node.hpp"

namespace hagring::herd::sim {
namespace {

constexpr auto kWatch = milliseconds(5);
/// Two may fetch the same blob for this long, while one takes over from the other.
constexpr auto kTakeover = milliseconds(2500);
/// A node may have more children than its share for this long, while they change places.
constexpr auto kCrowded = milliseconds(200);

}  // namespace

/// A node that neither fetches nor coordinates and feeds others.
std::size_t Simulation::pick_middle() const {
  std::size_t best = SIZE_MAX;
  std::size_t most = 0;
  for (const auto& node : nodes_) {
    const bool fetches = std::any_of(node->layers.begin(), node->layers.end(),
                                     [](const auto& layer) { return layer.fetching; });
    if (fetches || !node->alive || node->hung || node->coordinator.herds() > 0) continue;
    if (node->upload.transfers.size() < most) continue;
    most = node->upload.transfers.size();
    best = node->number;
  }
  return best;
}

/// Half-way through the largest layer, by what its fetcher has.
void Simulation::inject() {
  if (faulted_) return;
  const std::uint64_t half = pieces_of(options_.layers[0]) / 2;
  for (const auto& node : nodes_) {
    const auto& layer = node->layers[0];
    if (!layer.member || (!layer.fetching && !layer.done)) continue;
    if (first_missing_byte(layer.member->have()) / kPieceSize < half) continue;
    faulted_ = true;
    fault(options_.middle, pick_middle());
    if (options_.liar) liar_ = pick_middle();
    fault(options_.coordinator, distances_[0][0]);
    fault(options_.fetcher, node->number);
    return;
  }
}

/// Whether nothing explains that somebody has more to do than its share.
bool Simulation::calm() const {
  return options_.slow_share == 0 && options_.upload_capped == 0 && options_.missing == 0 &&
         options_.fetcher == Fault::none && options_.middle == Fault::none &&
         options_.coordinator == Fault::none && !options_.liar &&
         options_.partition_until == Duration(0);
}

void Simulation::check_children() {
  for (const auto& node : nodes_) {
    for (auto& layer : node->layers) {
      if (!layer.member || !node->alive || node->hung) continue;
      const std::size_t children = layer.member->children(0) + layer.member->children(1);
      if (children > 2U * node->units) {
        broken(fmt::format("{} has {} children", node->id, children));
      }
      if (children <= node->units) layer.crowded = events_.now();
      if (calm() && events_.now() - layer.crowded > kCrowded) {
        broken(fmt::format("{} has more children than its share", node->id));
        layer.crowded = events_.now();
      }
    }
  }
}

/// Nodes that know no other that counts and is nearer to a herd's place: whoever is asked first,
/// joiners end there.
void Simulation::add_nearest(std::size_t herd, Counts* counts, std::set<std::size_t>& found) const {
  const auto& order = distances_[herd];
  for (auto at = order.begin(); at != order.end(); ++at) {
    const Node& node = *nodes_[*at];
    const bool passes_on = std::any_of(order.begin(), at, [&](std::size_t other) {
      return counts(node, *nodes_[other]) && knows(*at, other);
    });
    if (!passes_on && counts(node, node)) found.insert(*at);
  }
}

/// How many nodes may coordinate a herd at its beginning: one, or more where tables differ.
std::size_t Simulation::begun_at(std::size_t herd) const {
  std::set<std::size_t> found;
  add_nearest(herd, [](const Node&, const Node&) { return true; }, found);
  return found.size();
}

/// How many may ever: those, their stand-ins, and those of each side of a partition.
std::size_t Simulation::coordinators_of(std::size_t herd) const {
  std::set<std::size_t> found;
  add_nearest(herd, [](const Node&, const Node&) { return true; }, found);
  const auto lives = [](const Node& node, const Node& other) {
    return node.alive && !node.hung && other.alive && !other.hung;
  };
  add_nearest(herd, lives, found);
  const auto same_side = [](const Node& node, const Node& other) {
    return node.partitioned == other.partitioned;
  };
  if (options_.partition_until > Duration(0)) add_nearest(herd, same_side, found);
  return found.size();
}

/// Who has the whole blob isn't known to a stand-in, nor to the other side of a partition, nor
/// where tables differ, before two coordinators meet: each coordinator costs a blob. One that is
/// cut off from whom it told to fetch has it fetched on its own side, too.
std::uint64_t Simulation::most_origin_bytes() const {
  std::uint64_t sum = 0;
  for (std::size_t h = 0; h < herds_.size(); ++h) {
    const std::uint64_t again = options_.partition_until > Duration(0) ? begun_at(h) : 0;
    sum +=
        pieces_of(options_.layers[h / options_.zones]) * kPieceSize * (coordinators_of(h) + again);
  }
  // One that gave up gets the rest for itself.
  for (const auto& node : nodes_) {
    for (const auto& layer : node->layers) sum += layer.alone ? layer.fetched : 0;
  }
  return sum + lost_bytes_;
}

void Simulation::check_fetchers() {
  std::vector<std::size_t> fetchers(herds_.size());
  for (const auto& node : nodes_) {
    if (!node->alive || node->hung) continue;
    for (std::size_t layer = 0; layer < node->layers.size(); ++layer) {
      if (node->layers[layer].fetching) ++fetchers[layer * options_.zones + node->zone];
    }
  }
  // Each side of a partition has its own until it is mended.
  const std::size_t sides = options_.partition_until > Duration(0) ? 2 : 1;
  for (std::size_t h = 0; h < herds_.size(); ++h) {
    TimePoint& since = two_fetchers_[h];
    if (fetchers[h] <= sides)
      since = {};
    else if (since == TimePoint{})
      since = events_.now();
    const bool long_since = since != TimePoint{} && events_.now() - since > kTakeover;
    // Each coordinator has told one to fetch before they meet, and one more takes over on each
    // side.
    if (long_since || (fetchers[h] > 2 * sides && fetchers[h] > sides + coordinators_of(h))) {
      broken(fmt::format("{} nodes fetch the same blob", fetchers[h]));
    }
  }
}

void Simulation::check_trees() {
  for (const HerdId& herd : herds_) {
    for (const auto& node : nodes_) {
      const HerdState* state = node->coordinator.find(herd);
      if (state == nullptr || !node->alive || node->hung) continue;
      for (const auto& [id, place] : state->shape().places()) {
        for (Stripe s = 0; s < kStripes; ++s) {
          outcomes_.depth = std::max(outcomes_.depth, place->depth[s]);
          std::size_t steps = 0;
          for (const Place* at = place.get(); at != nullptr; at = at->parents[s]) {
            if (++steps > state->shape().size()) return broken("a circle in a stripe");
          }
        }
      }
    }
  }
}

void Simulation::watch() {
  inject();
  check_fetchers();
  check_children();
  check_trees();
  if (open_nodes_ > 0) events_.after(kWatch, [this] { watch(); });
}

/// After all have finished: nobody serves anybody, and no coordinator knows a herd any more.
void Simulation::check_end() {
  const TimePoint end = events_.now() + options_.coordinator_options.idle + std::chrono::seconds(2);
  while (events_.step(end)) {
  }
  for (const auto& node : nodes_) {
    if (!node->alive || node->hung) continue;
    if (node->coordinator.herds() > 0) broken(node->id + " still coordinates a herd");
    if (node->load.children() > 0) broken(node->id + " still has children");
    for (const auto& layer : node->layers) {
      if (layer.member && !layer.alone && !layer.member->over()) {
        broken(node->id + " is still in a herd");
      }
    }
  }
}

}  // namespace hagring::herd::sim
