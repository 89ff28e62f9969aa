// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>

#include "dht/kad/key.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::kad {

/// A key that this node provides, and how far that is known.
struct OwnKey {
  Bytes wire_key;
  /// When it was last told to those nearest to it; the clock's epoch: never.
  TimePoint told{};
  /// Not tried again before, since it has just failed.
  TimePoint not_before{};
  std::uint16_t told_to = 0;  ///< how many took it
  std::uint16_t depth = 0;    ///< of the network as we knew it then
  std::uint8_t failures = 0;  ///< times in a row that too few took it
};

/// The keys that this node provides, in the order of the key space, so that a region's are
/// together.
using OwnKeys = std::map<Key, OwnKey>;

}  // namespace hagring::kad
