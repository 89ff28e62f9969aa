// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/base/byte_stream.hpp"

namespace hagring::dht {

inline constexpr const char* kPingProtocol = "/ipfs/ping/1.0.0";

/// Echoes blocks of 32 bytes until the peer ends its half (libp2p specs, ping/ping.md), or sends
/// none for two minutes.
awaitable<void> answer_pings(ByteStream& stream);

}  // namespace hagring::dht
