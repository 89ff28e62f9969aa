// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/sim/node.hpp"

#include <algorithm>

namespace hagring::herd::sim {
namespace {

/// How many nodes a member knows that may coordinate.
constexpr std::size_t kCoordinators = 8;
constexpr auto kBeat = milliseconds(20);
/// A child that takes nothing for this long is dropped.
constexpr auto kBlocked = std::chrono::seconds(5);

}  // namespace

Simulation::Node::Node(Simulation& simulation, std::size_t node_number, NodeId node_id,
                       double bytes_a_second)
    : sim(simulation),
      number(node_number),
      id(std::move(node_id)),
      rate(bytes_a_second),
      upload(node_number, bytes_a_second),
      coordinator(simulation.options_.coordinator_options, id, *this) {
  layers.resize(simulation.options_.layers.size());
}

std::vector<NodeId> Simulation::Node::nearest(const Key& place, std::size_t count) const {
  for (std::size_t h = 0; h < sim.herds_.size(); ++h) {
    if (place_of(sim.herds_[h]) != place) continue;
    std::vector<NodeId> found;
    for (const std::size_t other : sim.distances_[h]) {
      if (found.size() == count) break;
      if (sim.knows(number, other)) found.push_back(sim.nodes_[other]->id);
    }
    return found;
  }
  return {};
}

std::size_t Simulation::Node::layer_of(const HerdId& herd) const {
  const auto found = std::find(sim.herds_.begin(), sim.herds_.end(), herd);
  return static_cast<std::size_t>(found - sim.herds_.begin()) / sim.options_.zones;
}

void Simulation::Node::begin_layers() {
  std::size_t open = 0;
  for (const Layer& layer : layers) open += layer.member && !layer.done ? 1 : 0;
  while (open < sim.options_.at_a_time && next_layer < layers.size()) {
    const std::size_t layer = next_layer++;
    const HerdId& herd = sim.herds_[layer * sim.options_.zones + zone];
    MemberFacts facts{.size = sim.options_.layers[layer],
                      .whole = sim.options_.whole,
                      .may_fetch = may_fetch,
                      .slow = slow_known_,
                      .units = units};
    layers[layer].member =
        std::make_unique<Member>(sim.options_.member_options, herd, id, facts, load);
    run(layer,
        layers[layer].member->start(nearest(place_of(herd), kCoordinators), sim.events_.now()));
    ++open;
  }
}

void Simulation::Node::run(std::size_t layer, const Actions& actions) {
  for (const Action& action : actions) {
    std::visit([&](const auto& each) { act(layer, each); }, action);
  }
}

void Simulation::Node::send_all(const Outgoing& out) {
  for (const Send& send : out) sim.deliver(number, send);
  arm();
}

/// The coordinator's timer.
void Simulation::Node::arm() {
  const TimePoint next = coordinator.next_tick();
  if (next >= armed_) return;
  armed_ = next;
  sim.events_.at(next, [this, next] {
    if (armed_ != next) return;
    armed_ = TimePoint::max();
    if (alive && !hung) send_all(coordinator.tick(sim.events_.now()));
  });
}

void Simulation::Node::asked(std::size_t child, std::size_t layer, Stripe stripe,
                             std::uint64_t next, std::uint64_t subscription) {
  if (hung) return;
  Member* member = layers[layer].member.get();
  const NodeId& child_id = sim.nodes_[child]->id;
  std::erase_if(upload.transfers, [&](const auto& each) {
    const bool same = each->to == child && each->layer == layer && each->stripe == stripe;
    each->ended = each->ended || same;
    return same;
  });
  if (member == nullptr || !member->child_asks(stripe, child_id, sim.events_.now())) {
    sim.events_.after(sim.options_.latency, [this, child, layer, stripe, subscription] {
      sim.nodes_[child]->refused(number, layer, stripe, LostWhy::refused, subscription);
    });
    return;
  }
  auto transfer = std::make_shared<Transfer>();
  transfer->to = child;
  transfer->layer = layer;
  transfer->stripe = stripe;
  transfer->next = next;
  transfer->number = subscription;
  transfer->sent = sim.events_.now();
  upload.transfers.push_back(transfer);
  sim.pump(upload);
}

void Simulation::Node::unasked(std::size_t child, std::size_t layer, Stripe stripe) {
  bool found = false;
  std::erase_if(upload.transfers, [&](const auto& each) {
    const bool same = each->to == child && each->layer == layer && each->stripe == stripe;
    each->ended = each->ended || same;
    found = found || same;
    return same;
  });
  if (found && layers[layer].member)
    layers[layer].member->child_left(stripe, sim.nodes_[child]->id);
}

void Simulation::Node::refused(std::size_t parent, std::size_t layer, Stripe stripe, LostWhy why,
                               std::uint64_t subscription) {
  Layer& state = layers[layer];
  if (!alive || hung || !state.member || state.subscription[stripe] != subscription) return;
  ++sim.outcomes_.lost_parents;
  run(layer, state.member->parent_lost(stripe, sim.nodes_[parent]->id, why, sim.events_.now()));
}

void Simulation::Node::beat(std::size_t parent, std::size_t layer, Stripe stripe,
                            std::uint64_t has) {
  if (!alive || hung || !layers[layer].member) return;
  layers[layer].member->beat(stripe, sim.nodes_[parent]->id, has, sim.events_.now());
}

void Simulation::Node::piece(std::size_t from, const std::shared_ptr<Transfer>& transfer,
                             std::uint64_t index, bool bad) {
  Layer& state = layers[transfer->layer];
  const bool of_origin = from == SIZE_MAX;
  if (!alive || hung || !state.member || state.done) return;
  Stripe stripe = transfer->stripe;
  if (of_origin) {
    if (transfer != state.origin) return;
    stripe = static_cast<Stripe>(index % kStripes);
    index /= kStripes;
  } else if (state.subscription[stripe] != transfer->number) {
    return;
  }
  // The head's signed hash doesn't match: it is neither kept nor passed on.
  if (bad) {
    ++sim.outcomes_.lost_parents;
    return run(transfer->layer, state.member->parent_lost(stripe, sim.nodes_[from]->id,
                                                          LostWhy::lied, sim.events_.now()));
  }
  run(transfer->layer, state.member->arrived(stripe, index, sim.events_.now()));
  sim.pump(upload);
  const std::uint64_t pieces = pieces_of(sim.options_.layers[transfer->layer]);
  const PerStripe& have = state.member->have();
  if (have[0] >= pieces_in(0, pieces) && have[1] >= pieces_in(1, pieces)) {
    layer_done(transfer->layer);
  }
}

void Simulation::Node::layer_done(std::size_t layer) {
  Layer& state = layers[layer];
  state.done = true;
  // One that is of no use to the others may be through before it is told to stop.
  if (state.fetching && (slow || units == 0)) sim.lost_bytes_ += state.fetched;
  state.fetching = false;
  state.origin.reset();
  run(layer, state.member->finished(sim.events_.now()));
  if (++done_layers == layers.size()) {
    const double took = std::chrono::duration<double>(sim.events_.now() - started).count();
    (slow ? sim.outcomes_.slow_seconds : sim.outcomes_.seconds).push_back(took);
    --sim.open_nodes_;
  }
  begin_layers();
}

void Simulation::Node::take(std::size_t from, const Message& message) {
  if (!alive || hung) return;
  ++messages;
  const NodeId& sender = sim.nodes_[from]->id;
  if (for_coordinator(message.body)) {
    send_all(coordinator.receive(sender, message, sim.events_.now()));
    if (coordinator.herds() > 0) sim.coordinated_.insert(number);
    return;
  }
  const std::size_t layer = layer_of(message.herd);
  if (layer >= layers.size() || !layers[layer].member) return;
  run(layer, layers[layer].member->receive(sender, message.body, sim.events_.now()));
}

void Simulation::Node::peer_died(std::size_t node) {
  if (!alive || hung) return;
  const NodeId& dead = sim.nodes_[node]->id;
  const TimePoint now = sim.events_.now();
  send_all(coordinator.lost(dead, now));
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    if (!layers[layer].member) continue;
    for (Stripe s = 0; s < kStripes; ++s) unasked(node, layer, s);
    for (Stripe s = 0; s < kStripes; ++s) {
      if (layers[layer].member->parent(s) == dead) ++sim.outcomes_.lost_parents;
      run(layer, layers[layer].member->parent_lost(s, dead, LostWhy::closed, now));
    }
    run(layer, layers[layer].member->coordinator_lost(dead, now));
  }
}

void Simulation::Node::tick() {
  if (!alive || hung) return;
  const TimePoint now = sim.events_.now();
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    Member* member = layers[layer].member.get();
    if (member != nullptr && member->next_tick() <= now) run(layer, member->tick(now));
  }
  const auto transfers = upload.transfers;
  for (const auto& transfer : transfers) {
    if (now - transfer->sent < kBeat) continue;
    const bool more = transfer->next < sim.available(upload, *transfer);
    if (now - transfer->sent > kBlocked && (more || sim.nodes_[transfer->to]->hung)) {
      unasked(transfer->to, transfer->layer, transfer->stripe);
      continue;
    }
    const Member& member = *layers[transfer->layer].member;
    sim.events_.after(
        sim.options_.latency, [this, transfer, has = member.have()[transfer->stripe]] {
          if (!sim.reaches(number, transfer->to) || transfer->ended) return;
          Node& child = *sim.nodes_[transfer->to];
          // A connection that only this side still knows is reset.
          if (!child.hung &&
              child.layers[transfer->layer].subscription[transfer->stripe] != transfer->number) {
            return unasked(transfer->to, transfer->layer, transfer->stripe);
          }
          child.beat(number, transfer->layer, transfer->stripe, has);
        });
  }
  sim.events_.after(kBeat, [this] { tick(); });
}

}  // namespace hagring::herd::sim
