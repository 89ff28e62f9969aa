// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/read_at.hpp"

#include <unistd.h>

#include <cerrno>

namespace hagring {

Result<std::size_t> read_at(int file, std::uint64_t offset, MutableBytes into) {
  std::size_t done = 0;
  while (done < into.size()) {
    const auto got =
        ::pread(file, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return last_system_error();
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

}  // namespace hagring
