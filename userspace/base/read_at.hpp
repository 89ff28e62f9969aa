// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "userspace/base/bytes.hpp"
#include "userspace/base/result.hpp"

namespace hagring {

/// Reads an open file from `offset` on until `into` is full or the file ends; how much that was.
/// Waits for the disk. Errors: the system's.
Result<std::size_t> read_at(int file, std::uint64_t offset, MutableBytes into);

}  // namespace hagring
