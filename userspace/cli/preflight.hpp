// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "userspace/preflight/check.hpp"

namespace hagring::cli {

/// The checks as text for people: a line each, with what to do below those that aren't ok. In
/// colour if `colour`.
std::string render_preflight(const preflight::Checks& checks, bool colour);

/// The checks as JSON: `{"ok": …, "checks": [{"name", "level", "found", "advice"}]}`.
std::string preflight_json(const preflight::Checks& checks);

/// Prints the checks. Returns the exit code: 0, or 1 when one of them is a failure.
int show_preflight(const preflight::Checks& checks, bool json);

}  // namespace hagring::cli
