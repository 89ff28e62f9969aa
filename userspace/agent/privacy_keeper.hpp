// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "registry/privacy.hpp"
#include "userspace/agent/config.hpp"
#include "userspace/base/background_file.hpp"

namespace hagring::agent {

/// Keeps what is known of private content over a restart. On the control thread.
class PrivacyKeeper {
 public:
  /// Reads what the last run has kept; a file that can't be read is told of and counts for nothing.
  /// `succeeds`: this agent takes another's place, which may still learn of some while it ends.
  PrivacyKeeper(registry::Privacy& privacy, Clock& clock, std::filesystem::path path,
                bool succeeds);

  /// Writes what is new, again and again until cancelled: a mark is on the disk about as soon as
  /// the content that it is of.
  awaitable<void> run();

  /// Writes what is left; nothing is written afterwards.
  void finish();

 private:
  void load();
  void save();

  registry::Privacy& privacy_;
  Clock& clock_;
  BackgroundFile file_;
  std::optional<TimePoint> alone_at_;  ///< when the predecessor is gone for certain
};

/// Where the state directory keeps it.
std::filesystem::path privacy_file(const Config& config);

}  // namespace hagring::agent
