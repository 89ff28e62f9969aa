// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>

namespace hagring::fuzz {

/// Aborts, so that the fuzzer reports it, unless `condition` holds.
inline void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace hagring::fuzz
