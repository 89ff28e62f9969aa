// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "registry/herd/sim/simulation.hpp"

namespace hagring::herd::sim {

/// A piece's way from one node to another, or from the origin.
struct Simulation::Transfer {
  std::size_t to = 0;
  std::size_t layer = 0;
  Stripe stripe = 0;       ///< of a stream between nodes
  std::uint64_t next = 0;  ///< index in the stripe; from the origin: in the blob
  std::uint64_t number = 0;
  unsigned in_flight = 0;
  bool ended = false;
  TimePoint sent{};
};

/// A link's sending side: one piece at a time, the transfers in turn.
struct Simulation::Upload {
  explicit Upload(std::size_t node_number, double bytes_a_second)
      : node(node_number), rate(bytes_a_second) {}
  std::size_t node;  ///< SIZE_MAX: the origin
  double rate;
  bool busy = false;
  std::size_t turn = 0;
  std::vector<std::shared_ptr<Transfer>> transfers;  ///< shared with the pieces on their way
};

/// A node: its members, its coordinator, its links; what the agent's executor does in reality.
class Simulation::Node final : public Mesh {
 public:
  Node(Simulation& simulation, std::size_t number, NodeId id, double rate);

  // Mesh: what its tables say.
  std::vector<NodeId> nearest(const Key& place, std::size_t count) const override;
  std::vector<NodeId> holders(const HerdId&) const override { return {}; }

  void begin_layers();
  void take(std::size_t from, const Message& message);
  void piece(std::size_t from, const std::shared_ptr<Transfer>& transfer, std::uint64_t index,
             bool bad);
  void asked(std::size_t child, std::size_t layer, Stripe stripe, std::uint64_t next,
             std::uint64_t number);
  void unasked(std::size_t child, std::size_t layer, Stripe stripe);
  void refused(std::size_t parent, std::size_t layer, Stripe stripe, LostWhy why,
               std::uint64_t number);
  void beat(std::size_t parent, std::size_t layer, Stripe stripe, std::uint64_t has);
  void peer_died(std::size_t node);
  void tick();
  void run(std::size_t layer, const Actions& actions);
  void send_all(const Outgoing& out);
  void arm();
  void set_slow(bool known) {
    slow = true;
    slow_known_ = known;
  }

  struct Layer {
    std::unique_ptr<Member> member;
    bool done = false;
    bool fetching = false;
    bool alone = false;
    TimePoint crowded{};        ///< the last time that it had no more children than its share
    std::uint64_t fetched = 0;  ///< bytes that the origin gave it
    std::shared_ptr<Transfer> origin;
    std::array<std::uint64_t, kStripes> subscription{};
  };

  Simulation& sim;
  std::size_t number;
  NodeId id;
  double rate;
  bool slow = false;
  bool alive = true;
  bool hung = false;
  bool may_fetch = true;
  std::uint8_t units = 2;
  std::size_t zone = 0;
  bool partitioned = false;
  TimePoint started{};
  TimePoint down_free{};
  Upload upload;
  Load load;
  Coordinator coordinator;
  std::vector<Layer> layers;
  std::size_t next_layer = 0;
  std::size_t done_layers = 0;
  std::uint64_t messages = 0;

 private:
  void act(std::size_t layer, const Send& action);
  void act(std::size_t layer, const Subscribe& action);
  void act(std::size_t layer, const Unsubscribe& action);
  void act(std::size_t layer, const FetchOrigin& action);
  void act(std::size_t layer, const StopFetch& action);
  void act(std::size_t layer, const FetchHolder& action);
  void act(std::size_t layer, const DropChild& action);
  void act(std::size_t layer, const Refuse&) { act(layer, GiveUp{}); }
  void act(std::size_t layer, const GiveUp& action);
  void fetch(std::size_t layer, std::uint64_t from);
  void layer_done(std::size_t layer);
  std::size_t layer_of(const HerdId& herd) const;
  bool slow_known_ = false;
  TimePoint armed_ = TimePoint::max();
};

}  // namespace hagring::herd::sim
