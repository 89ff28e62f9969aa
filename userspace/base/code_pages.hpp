// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace hagring {

/// Unmaps the code and the constants of the program and of its libraries; the next use of a page
/// maps it, and its neighbours, anew from the page cache (madvise(2), MADV_DONTNEED). Until then it
/// doesn't count as the process's; it stays in the page cache.
///
/// What somebody has written into is left alone: a debugger's breakpoints, or the probes of who
/// traces libssl, are in private copies that would be lost, as one is that is set in this very
/// moment. So is all that programs write, or relocate.
///
/// Returns the bytes of what was unmapped; 0 where /proc/self/pagemap can't be read.
std::size_t unmap_code() noexcept;

}  // namespace hagring
