// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/cli/status.hpp"

namespace hagring::cli {

/// Shows the agent's pulls in progress until SIGINT, SIGTERM or SIGHUP: on a terminal as a picture
/// with progress bars, elsewhere as lines, with `json` as a status document a line. Waits for an
/// agent that isn't there, or goes away. Returns the exit code: 0, or 1 when nobody takes the
/// output.
int watch_status(const StatusOptions& options);

}  // namespace hagring::cli
