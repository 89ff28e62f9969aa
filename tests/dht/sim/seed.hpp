// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "dht/sim/simulation.hpp"

namespace hagring::sim {

/// The seed from the environment (HAGRING_SIM_SEED) or the clock, printed.
inline std::uint64_t test_seed() {
  const char* given = std::getenv("HAGRING_SIM_SEED");
  const std::uint64_t seed =
      given
          ? std::strtoull(given, nullptr, 10)
          : static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  std::printf("HAGRING_SIM_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace hagring::sim
