// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "userspace/base/bytes.hpp"

namespace hagring::dns::test {

inline constexpr std::uint16_t kA = 1;
inline constexpr std::uint16_t kTxt = 16;
inline constexpr std::uint16_t kAaaa = 28;

/// A query as stub resolvers send it: ID 0x1234, recursion desired; with `edns` an OPT record whose
/// DO bit is set.
Bytes query(std::string_view name, std::uint16_t type = kA, bool edns = false);

/// A response to `query` with this code; `rest` follows the question, uncounted: for the stub they
/// are bytes.
Bytes response(ByteView query, std::uint8_t code, std::string_view rest = {});

}  // namespace hagring::dns::test
