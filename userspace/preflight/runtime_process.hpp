// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "userspace/agent/config.hpp"

namespace hagring::preflight {

/// The containerd that the agent would intercept.
struct RuntimeProcess {
  std::string socket{};
  std::string flavour{};  ///< whose it is, where it was found and not given
  pid_t pid = 0;          ///< 0: nobody answers, or it can't be seen; `problem` says why
  std::string problem{};
};

/// nullopt: there is no socket.
std::optional<RuntimeProcess> find_runtime(const agent::Config& config);

}  // namespace hagring::preflight
