// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "userspace/agent/restart_plan.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::agent {

/// Restarts a runtime that doesn't trust the node's CA because it was started before the CA was
/// there, if that is wanted, once a boot at the most.
///
/// The nodes of a mesh don't agree on whose turn it is: what they know of each other differs, and a
/// lock without a server that holds it would be one in name only. Each waits a random time, so that
/// not all are at it at once, and then for a moment without pulls.
class RuntimeRestart {
 public:
  struct Options {
    bool once = false;   ///< else it is only said what would be done
    std::string unit{};  ///< --restart-unit
    Duration longest_delay{0};
    std::filesystem::path state_dir{};
  };
  struct Hooks {
    /// The runtime for which a restart is due; nothing: none is.
    std::function<std::optional<RestartCandidate>()> due;
    /// Whether connections of the runtime's are open.
    std::function<bool()> busy;
  };

  /// `systemd` outlives it.
  RuntimeRestart(Clock& clock, systemd::ServiceManager& systemd, Options options, Hooks hooks);

  /// Looks, and restarts, until it is cancelled. On the control thread.
  awaitable<void> run();

  /// For status: what is due, and what becomes of it; empty: nothing.
  std::string text() const;

 private:
  awaitable<void> look();
  awaitable<void> restart();
  Duration draw_delay() const;
  void say(std::string text);

  Clock& clock_;
  systemd::ServiceManager& systemd_;
  Options options_;
  Hooks hooks_;
  RestartMark mark_;
  std::optional<RestartCandidate> due_;
  RestartPlan plan_;
  TimePoint planned_{};            ///< when systemd was asked last
  std::optional<TimePoint> turn_;  ///< not before
  bool waits_for_pulls_ = false;
  std::string said_;
};

}  // namespace hagring::agent
