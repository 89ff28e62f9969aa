// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "registry/herd/coordinator.hpp"
#include "registry/herd/shape.hpp"

namespace hagring::herd {

/// One herd, as its coordinator sees it: who is in it, who fetches, what each is told.
class HerdState {
 public:
  HerdState(const CoordinatorOptions& options, HerdId herd, NodeId self, bool whole, TimePoint now);

  /// No fetcher is named before this time.
  void hold_until(TimePoint when) { hold_until_ = when; }

  void join(const NodeId& from, const Join& join, TimePoint now, Outgoing& out);
  void take(const NodeId& from, const Progress& progress, TimePoint now, Outgoing& out);
  void take(const NodeId& from, const Lost& lost, TimePoint now, Outgoing& out);
  void take(const NodeId& from, const Ended& ended, TimePoint now, Outgoing& out);
  /// A member is dead, or its stream to the coordinator is.
  void gone(const NodeId& node, TimePoint now, Outgoing& out);
  void tick(TimePoint now, Outgoing& out);
  /// Another coordinates from now on.
  void hand_over(const NodeId& to, Outgoing& out) const;

  const HerdId& id() const { return herd_; }
  const Shape& shape() const { return shape_; }
  std::uint64_t epoch() const { return epoch_; }
  NodeId head() const { return shape_.head() == nullptr ? NodeId() : shape_.head()->id; }
  std::uint32_t members() const { return static_cast<std::uint32_t>(shape_.size()); }
  /// Whether nobody in it wants anything, and that for long enough.
  bool idle(TimePoint now) const;

  /// When those that joined lately are told (tick); max when nobody is to be.
  TimePoint tell_at() const { return tell_at_; }

  NodeId founder = {};  ///< who joined first
  TimePoint probed{};   ///< the coordinator's last Probe about it

 private:
  Place& enter(const NodeId& from, const Join& join, TimePoint now);
  void resume(Place& place, const Join& join, TimePoint now, Outgoing& out);
  void meet_fetcher(Place& place, bool awaited, TimePoint now, Outgoing& out);
  void update(Place& place, const PerStripe& have, TimePoint now);
  void learn_size(std::uint64_t size_bytes);
  void settle(TimePoint now, Outgoing& out);
  void arrange(TimePoint now, Outgoing& out);
  bool sourced() const;
  bool better_head() const;
  Place* candidate() const;
  void name_head(Place& place, Outgoing& out);
  void hear_of_head(const NodeId& head, const NodeId& from);
  void tell_heads(Outgoing& out) const;
  Stream order_for(const Place& place) const;
  void tell_changed(Outgoing& out);
  void assign_holders(TimePoint now, Outgoing& out);
  void release_holder(Place& place);
  void finish(Place& place);
  void origin_failed(Place& place, bool denied, TimePoint now);
  void origin_limited(Place& place, Duration lasts, TimePoint now, Outgoing& out);
  Wait wait(TimePoint now) const;
  void blame(Place& parent, const NodeId& reporter, LostWhy why, bool crowded, TimePoint now);
  void bury(Outgoing& out);
  void find_slow(Place& place, TimePoint now);
  void look(TimePoint now, Outgoing& out);
  void watch_head(TimePoint now, Outgoing& out);
  void find_hungry(Place& place, unsigned idle_percent, TimePoint now);
  Duration progress_every() const;
  std::uint32_t progress_ms() const;
  void send(const NodeId& to, Body body, Outgoing& out) const;

  const CoordinatorOptions& options_;
  HerdId herd_;
  NodeId self_;
  bool whole_;
  Shape shape_;
  std::uint64_t size_ = 0;
  std::uint64_t epoch_ = 0;
  bool disturbed_ = false;  ///< somebody may be without a parent, or all without a head
  unsigned origin_failures_ = 0;
  std::vector<NodeId> heads_;  ///< that were named here, the latest last
  /// Of whom a member said that another coordinator had named it.
  struct HeardHead {
    NodeId head;
    NodeId from;
  };
  std::vector<HeardHead> heard_heads_;
  bool heads_untold_ = false;    ///< those that stream are to be told of one of them
  NodeId watched_ = {};          ///< the head whose rate is measured
  TimePoint head_since_{};       ///< since then it has got less than a window's worth
  PerStripe head_had_{};         ///< what it had then
  unsigned slow_heads_ = 0;      ///< that were replaced
  std::vector<NodeId> limited_;  ///< to whom the origin said so, since the last limit ended
  TimePoint limited_until_{};
  TimePoint hold_until_{};
  TimePoint active_{};  ///< the last message of a member that isn't done
  TimePoint reminded_{};
  TimePoint looked_{};
  TimePoint evened_{};  ///< the last look for those that have more children than their share
  TimePoint tell_at_ = TimePoint::max();
  std::vector<NodeId> buried_;  ///< to be taken out when no reference to them is held
};

}  // namespace hagring::herd
