// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace hagring {

/// Unmaps the code and the constants of the program and of its libraries; the next use of a page
/// maps it and its 15 neighbours anew from the page cache. Until then it doesn't count as the
/// process's, and the kernel takes it before what is used (madvise(2), MADV_DONTNEED).
///
/// What somebody has written into is left alone: a debugger's breakpoints, or the probes of who
/// traces libssl, are in private copies that would be lost. So is all that programs write, or
/// relocate.
///
/// Returns the bytes of what was unmapped; 0 where /proc/self/pagemap can't be
/// read.
std::size_t unmap_code() noexcept;

}  // namespace hagring
