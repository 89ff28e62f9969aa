// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/base/result.hpp"

namespace hagring {

/// Whether `error` means that it is this node that lacks something (descriptors, memory, buffers,
/// ports), which says nothing of the other side.
bool is_own_trouble(const error_code& error) noexcept;

}  // namespace hagring
