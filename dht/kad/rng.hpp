// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>

#include "dht/kad/key.hpp"

namespace hagring::kad {

/// Chance as a constructor argument, so that a simulation can be replayed from its seed. Nothing
/// secret is drawn from it.
class Rng {
 public:
  explicit Rng(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t next() { return engine_(); }

  /// From 0 to `bound` - 1; `bound` is above 0.
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(engine_() % bound); }

  /// From 0 to just under 1.
  double fraction() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }

  Key key() {
    Key::Array bytes;
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(engine_() >> 56);
    return Key(bytes);
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace hagring::kad
