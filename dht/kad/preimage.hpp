// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dht/kad/key.hpp"

namespace hagring::kad {

/// A wire key (a SHA-256 multihash, as go-libp2p-kbucket makes them up too) whose Key shares the
/// first `bits` bits with `target`: FIND_NODE carries no Key, only what hashes to one. Up to 12
/// bits it comes from a list; beyond, each bit doubles the work (20 bits: about a second).
Bytes wire_key_near(const Key& target, std::size_t bits);

}  // namespace hagring::kad
