// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "registry/herd/coordinator.hpp"
#include "registry/herd/herd_state.hpp"
#include "registry/herd/sim/events.hpp"

namespace hagring::herd::sim {

/// What goes wrong with a node, half-way through the image's transfer.
enum class Fault { none, kill, hang };

/// A cluster that pulls an image, and what happens to it.
struct SimulationOptions {
  std::size_t nodes = 16;
  std::uint64_t seed = 1;
  Duration spread{0};  ///< the nodes' starts, evenly by chance over this time
  /// Layers' sizes in bytes, and how many a node gets at a time (containerd: 3).
  std::vector<std::uint64_t> layers = {32U << 20, 16U << 20, 8U << 20, 8U << 20};
  std::size_t at_a_time = 3;
  double rate = 125e6;      ///< of a node's link, each way, bytes a second
  double origin_rate = 10;  ///< of the origin's link, in nodes' rates
  /// Pieces from the origin on their way to one node; 8 to a child. It is what the origin's stream
  /// gets of a full link against other streams.
  unsigned origin_window = 12;
  Duration latency = milliseconds(1);
  /// What a first contact of two nodes costs more: TCP and TLS, two round trips.
  Duration handshake = milliseconds(4);
  double slow_share = 0;      ///< of the nodes, at a quarter of the rate
  bool slow_known = false;    ///< they know it themselves, from earlier pulls
  double no_credentials = 0;  ///< share of the nodes that may not fetch
  double missing = 0;         ///< share of the table entries that a node doesn't have
  std::size_t zones = 1;
  double upload_capped = 0;  ///< share of the nodes that serve nobody
  Fault fetcher = Fault::none;
  Fault middle = Fault::none;
  Fault coordinator = Fault::none;  ///< of the largest layer
  bool liar = false;                ///< a node with children sends false pieces
  /// A third of the nodes can't be reached by the others in this time after the first start.
  Duration partition_from{0};
  Duration partition_until{0};
  bool whole = false;       ///< layers are small blobs or manifests: nothing is streamed
  bool to_the_end = false;  ///< go on until nobody should remember anything, and check that
  CoordinatorOptions coordinator_options;
  MemberOptions member_options;
};

/// What came of it.
struct Outcomes {
  std::vector<double> seconds;       ///< each fast node's time from its start to its end, sorted
  std::vector<double> slow_seconds;  ///< the slow nodes'
  double origin_images = 0;          ///< bytes from the origin, in images' worth
  std::size_t origin_requests = 0;
  unsigned depth = 0;          ///< of the deepest tree
  double messages = 0;         ///< a node, all layers
  double message_bytes = 0;    ///< a node
  std::size_t busiest = 0;     ///< messages in and out of the busiest coordinator
  std::size_t unfinished = 0;  ///< nodes that were alive and didn't come to an end
  std::size_t gave_up = 0;     ///< layers for which a node went to the origin by itself
  std::size_t lost_parents = 0;
  std::size_t coordinators = 0;     ///< different nodes that coordinated a layer
  std::vector<std::string> broken;  ///< what must hold and didn't

  double last() const { return seconds.empty() ? 0 : seconds.back(); }
};

/// Runs coordinators and members, the very same as in the agent, on simulated links. Everything
/// follows from the seed.
class Simulation {
 public:
  explicit Simulation(SimulationOptions options);
  ~Simulation();

  Outcomes run();

 private:
  class Node;
  struct Transfer;
  struct Upload;

  void start_node(std::size_t number);
  void fault(Fault kind, std::size_t node);
  void inject();
  std::size_t pick_middle() const;
  void kill(std::size_t node);
  bool reaches(std::size_t a, std::size_t b) const;
  Duration contact(std::size_t a, std::size_t b);
  void deliver(std::size_t from, const Send& send);
  void pump(Upload& upload);
  void watch();
  bool calm() const;
  void check_fetchers();
  using Counts = bool(const Node& node, const Node& other);
  void add_nearest(std::size_t herd, Counts* counts, std::set<std::size_t>& found) const;
  std::size_t begun_at(std::size_t herd) const;
  std::size_t coordinators_of(std::size_t herd) const;
  std::uint64_t most_origin_bytes() const;
  void check_children();
  void check_trees();
  void check_end();
  void measure();
  std::uint64_t available(const Upload& upload, const Transfer& transfer) const;
  void send_piece(Upload& upload, const std::shared_ptr<Transfer>& transfer);
  std::vector<std::size_t> by_distance(const HerdId& herd) const;
  bool knows(std::size_t node, std::size_t other) const;
  void broken(std::string text);

  SimulationOptions options_;
  std::mt19937_64 rng_;
  Events events_;
  TimePoint begin_;
  std::vector<HerdId> herds_;  ///< by layer and zone
  std::vector<std::vector<std::size_t>> distances_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::unique_ptr<Upload> origin_;
  std::set<std::pair<std::size_t, std::size_t>> contacts_;
  std::set<std::size_t> coordinated_;
  std::vector<TimePoint> two_fetchers_;
  std::uint64_t lost_bytes_ = 0;  ///< what fetchers got that died, were replaced or serve nobody
  Outcomes outcomes_;
  std::uint64_t origin_bytes_ = 0;
  std::uint64_t messages_ = 0;
  std::uint64_t message_bytes_ = 0;
  std::size_t open_nodes_ = 0;
  bool faulted_ = false;
  std::size_t liar_ = SIZE_MAX;
};

}  // namespace hagring::herd::sim
