// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>

#include "registry/herd/member.hpp"
#include "registry/herd/place.hpp"

namespace hagring::herd {

/// Timers and bounds of a coordinator.
struct CoordinatorOptions {
  /// Herds that it coordinates at a time; further joins are answered with Holder or not at all, so
  /// that they go to the next nearest.
  std::size_t most_herds = 1024;
  /// Of them, those that one node was the first to join.
  std::size_t most_herds_of_one = 512;
  /// Members of one herd; further ones likewise.
  std::size_t most_members = 20'000;
  /// Nodes that members of one herd name as their parents, and that haven't come themselves.
  std::size_t most_ghosts = 4096;
  /// A leaf that joined within this time has so little that another may take its place.
  Duration fresh = milliseconds(10);
  /// Members that join within this time are told together whom to stream from: in a burst each
  /// place changes several times. The fetcher is told at once.
  Duration gather = milliseconds(2);
  /// Members send Progress this often, or more rarely in a large herd: the coordinator takes about
  /// `progress_rate` of them a second.
  Duration progress = milliseconds(50);
  unsigned progress_rate = 10'000;
  /// A member that a stand-in knows from its children's re-joins only, and that hasn't come itself
  /// within this time, is taken for dead.
  Duration rejoin = milliseconds(1000);
  /// A herd without members, or that nobody has sent anything for, is forgotten.
  Duration idle = std::chrono::seconds(30);
  /// In a small blob's herd: nodes that get it from one holder at a time.
  std::size_t per_holder = 4;
  /// How many of the nearest nodes are told of a herd (Probe), and how often.
  std::size_t probes = 3;
  Duration probe_every = std::chrono::seconds(1);
  /// A stand-in's new herd names no fetcher for this long: the one that there is may re-join.
  Duration hold = milliseconds(50);
  /// A member that nothing is heard of for this long (or for ten Progress) is taken for dead.
  Duration silent = std::chrono::seconds(2);
  /// A member that another lost as its parent, and that hasn't been heard of for this long (or for
  /// three Progress), is taken for dead at once. More than MemberOptions::silent would leave a dead
  /// one to its second child's report.
  Duration unheard = milliseconds(500);
  /// A member that could take in more gets another parent this often at most.
  Duration reparent = milliseconds(150);
  /// It could, if its node doesn't take in so many percent of what it once did.
  unsigned idle_percent = 25;
  /// A parent that a node lost isn't given to it again for this long.
  Duration avoid = std::chrono::seconds(2);
  /// A head that got less than this from the origin, in bytes a second over `head_window`, is
  /// replaced by another that may fetch and hasn't been tried, so many times a herd: each costs the
  /// origin a request, and no byte that it has given to the new head before. The window is shorter
  /// than MemberOptions::floor_window: better one asks than all.
  std::uint64_t head_floor = 256 * 1024;
  Duration head_window = std::chrono::seconds(3);
  unsigned most_slow_heads = 2;
  /// After so many members to whom the origin answered that it limits requests (429) nobody asks it
  /// for as long as it says, `origin_pause` at most: the first one's account may not be the
  /// others'.
  unsigned most_limited = 2;
  /// When a head finds that the digest is wrong, nobody is to fetch the rest for this long: those
  /// that stream from it have nearly all, and of no use is any of it.
  Duration corrupt_hold = milliseconds(1000);
  /// The longest pause between attempts at an origin that fails.
  Duration origin_pause = std::chrono::seconds(8);
};

/// Messages to nodes (which may be this very node: its own Member).
using Outgoing = std::vector<Send>;

class HerdState;

/// The herds that this node coordinates: pure logic, for one thread. Each input returns the
/// messages to be sent now; `tick` wants to be called at `next_tick`.
class Coordinator {
 public:
  Coordinator(CoordinatorOptions options, NodeId self, const Mesh& mesh);
  ~Coordinator();

  /// A message that is for_coordinator. `from` has proven who it is.
  Outgoing receive(const NodeId& from, const Message& message, TimePoint now);

  /// The stream to a node has ended: it is out of all herds, and its children get other parents.
  Outgoing lost(const NodeId& node, TimePoint now);

  /// Timers.
  Outgoing tick(TimePoint now);
  TimePoint next_tick() const;

  std::size_t herds() const { return herds_.size(); }
  /// The herd's state, for tests, simulation and status; nullptr if it isn't coordinated here.
  const HerdState* find(const HerdId& herd) const;

 private:
  CoordinatorOptions options_;
  NodeId self_;
  const Mesh& mesh_;
  struct Hint {
    NodeId coordinator;
    TimePoint until;
  };

  void join(const NodeId& from, const HerdId& herd, const Join& join, TimePoint now, Outgoing& out);
  HerdState* create(const NodeId& from, const HerdId& herd, const Join& join, TimePoint now,
                    Outgoing& out);
  NodeId hinted(const HerdId& herd, TimePoint now) const;
  NodeId holder_for(const NodeId& from, const HerdId& herd, const Join& join) const;
  NodeId elsewhere(const HerdId& herd, const Join& join, TimePoint now) const;
  void meet(const NodeId& from, const HerdId& herd, std::uint32_t members, TimePoint now,
            Outgoing& out);
  void probe(HerdState& state, TimePoint now, Outgoing& out);

  std::map<HerdId, std::unique_ptr<HerdState>> herds_;
  std::map<HerdId, Hint> hints_;  ///< herds that others say they coordinate
  TimePoint ticked_{};
  TimePoint told_next_ = TimePoint::max();  ///< when the first herd's gathering ends
};

}  // namespace hagring::herd
