// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "userspace/base/bytes.hpp"

namespace hagring::dht {

/// base58btc as peer IDs are written (multiformats/multibase). The cost grows with the square of
/// the size, so it is for short values: at most kMaxBase58Text characters are decoded.
inline constexpr std::size_t kMaxBase58Text = 256;
std::string to_base58(ByteView bytes);
std::optional<Bytes> from_base58(std::string_view text);

/// Lower-case base36, as peer IDs in DNS names are written (multibase prefix 'k').
std::optional<Bytes> from_base36(std::string_view text);

/// Lower-case base32 without padding (RFC 4648, multibase prefix 'b').
std::string to_base32(ByteView bytes);
std::optional<Bytes> from_base32(std::string_view text);

}  // namespace hagring::dht
