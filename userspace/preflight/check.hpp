// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace hagring::preflight {

enum class Level {
  ok,
  warning,  ///< the agent runs, and something will be less than it could be
  failure,  ///< the agent won't start, or can't do its work
};

/// One line of what `hagring preflight` found.
struct Check {
  std::string name;  ///< a word or two
  Level level = Level::ok;
  std::string found;     ///< what is there
  std::string advice{};  ///< what to do; empty when all is well
};

using Checks = std::vector<Check>;

}  // namespace hagring::preflight
