// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>

#include "dht/kad/key.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::kad {

/// The keys that this node provides, in the order of the key space, so that a region's are
/// together.
struct OwnKey {
  Bytes wire_key;
  /// When it was last told to those nearest to it; the clock's epoch: never.
  TimePoint told{};
};
using OwnKeys = std::map<Key, OwnKey>;

}  // namespace hagring::kad
