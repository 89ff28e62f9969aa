// SPDX-License-Identifier: Apache-2.0
// What a member tells its executor to do.
#include <algorithm>

#include "registry/herd/sim/node.hpp"

namespace hagring::herd::sim {
namespace {

std::size_t number_of(const NodeId& id) { return std::stoul(id.substr(5)); }

}  // namespace

void Simulation::Node::act(std::size_t /*layer*/, const Send& send) { sim.deliver(number, send); }

void Simulation::Node::act(std::size_t layer, const Subscribe& action) {
  const std::size_t parent = number_of(action.parent);
  const Stripe stripe = action.stripe;
  const std::uint64_t subscription = ++layers[layer].subscription[stripe];
  if (!sim.nodes_[parent]->alive) {
    sim.events_.after(2 * sim.options_.latency, [this, parent, layer, stripe, subscription] {
      refused(parent, layer, stripe, LostWhy::closed, subscription);
    });
    return;
  }
  if (!sim.reaches(number, parent)) return;
  sim.events_.after(sim.contact(number, parent),
                    [this, parent, layer, stripe, next = action.next, subscription] {
                      // Given up while the connection was being made.
                      if (layers[layer].subscription[stripe] != subscription) return;
                      if (!sim.reaches(number, parent)) return;
                      sim.nodes_[parent]->asked(number, layer, stripe, next, subscription);
                    });
}

void Simulation::Node::act(std::size_t layer, const Unsubscribe& action) {
  const std::size_t parent = number_of(action.parent);
  ++layers[layer].subscription[action.stripe];
  sim.events_.after(sim.options_.latency, [this, parent, layer, stripe = action.stripe] {
    if (sim.reaches(number, parent)) sim.nodes_[parent]->unasked(number, layer, stripe);
  });
}

void Simulation::Node::act(std::size_t layer, const FetchOrigin& action) {
  if (!may_fetch) sim.broken(id + " without credentials asks the origin");
  layers[layer].fetching = true;
  fetch(layer, action.from / kPieceSize);
}

void Simulation::Node::act(std::size_t layer, const DropChild& action) {
  const std::size_t child = number_of(action.child);
  std::uint64_t subscription = 0;
  for (const auto& each : upload.transfers) {
    if (each->to != child || each->layer != layer || each->stripe != action.stripe) continue;
    each->ended = true;
    subscription = each->number;
  }
  std::erase_if(upload.transfers, [](const auto& each) { return each->ended; });
  sim.events_.after(sim.options_.latency, [this, child, layer, s = action.stripe, subscription] {
    if (!sim.reaches(number, child)) return;
    sim.nodes_[child]->refused(number, layer, s, LostWhy::refused, subscription);
  });
}

void Simulation::Node::act(std::size_t layer, const GiveUp& /*action*/) {
  ++sim.outcomes_.gave_up;
  layers[layer].alone = true;
  fetch(layer, first_missing_byte(layers[layer].member->have()) / kPieceSize);
}

void Simulation::Node::fetch(std::size_t layer, std::uint64_t from) {
  Layer& state = layers[layer];
  ++sim.outcomes_.origin_requests;
  auto transfer = std::make_shared<Transfer>();
  transfer->to = number;
  transfer->layer = layer;
  transfer->next = from;
  state.origin = transfer;
  sim.events_.after(2 * sim.options_.latency, [this, transfer] {
    sim.origin_->transfers.push_back(transfer);
    sim.pump(*sim.origin_);
  });
}

void Simulation::Node::act(std::size_t layer, const StopFetch& /*action*/) {
  Layer& state = layers[layer];
  state.fetching = false;
  if (!state.origin) return;
  state.origin->ended = true;
  // What it fetched is of use to it only as far as nobody else fetches it again.
  sim.lost_bytes_ += state.fetched;
  state.origin.reset();
}

void Simulation::Node::act(std::size_t layer, const FetchHolder& action) {
  const NodeId& node = action.node;
  const std::size_t from = number_of(node);
  const auto bytes = static_cast<double>(sim.options_.layers[layer]);
  const Duration took = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(bytes / std::min(rate, sim.nodes_[from]->rate)));
  sim.events_.after(sim.contact(number, from) + sim.options_.latency + took,
                    [this, from, layer, node] {
                      if (!alive || hung) return;
                      Layer& state = layers[layer];
                      if (!sim.reaches(number, from)) {
                        run(layer, state.member->holder_failed(node, sim.events_.now()));
                      } else if (!state.done) {
                        layer_done(layer);
                      }
                    });
}

}  // namespace hagring::herd::sim
