// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/base/bytes.hpp"

namespace hagring::dht {

/// What read_varint found at the beginning of some bytes.
struct VarintRead {
  enum class Status { complete, incomplete, malformed };
  Status status = Status::incomplete;
  std::uint64_t value = 0;
  std::size_t size = 0;  ///< bytes that the number took, when complete
};

/// Appends `value` as an unsigned varint (multiformats/unsigned-varint); at most 2^63-1.
void append_varint(Bytes& into, std::uint64_t value);

/// Reads an unsigned varint. Malformed: more than nine bytes, or not the shortest form.
VarintRead read_varint(ByteView bytes);

}  // namespace hagring::dht
