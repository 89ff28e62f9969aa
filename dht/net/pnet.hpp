// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "userspace/base/byte_stream.hpp"

namespace hagring::dht {

/// The key of a private network (libp2p specs, pnet/Private-Networks-PSK-V1.md).
using NetworkKey = std::array<std::uint8_t, 32>;

/// Reads the text of a swarm.key file (`/key/swarm/psk/1.0.0/`, `/base16/`, 64 hexadecimal digits,
/// a line each), or the 64 digits alone; nullopt for anything else.
std::optional<NetworkKey> parse_network_key(std::string_view text);

/// The text of a swarm.key file for `key`, which others' programs read too.
std::string write_network_key(const NetworkKey& key);

/// The first bytes that each side sends.
using NetworkNonce = std::array<std::uint8_t, 24>;

/// A nonce from the system's random numbers; it must never be used twice with one key.
NetworkNonce random_network_nonce();

/// `below` as a connection of the private network of `key`: XSalsa20 each way, each side's nonce
/// sent in front of its first bytes (at the first read, if that comes first, since some peers wait
/// for ours). There is no authentication: a peer with another key yields garbage, which the next
/// layer refuses.
std::unique_ptr<ByteStream> join_private_network(std::unique_ptr<ByteStream> below,
                                                 const NetworkKey& key, const NetworkNonce& nonce);

}  // namespace hagring::dht
