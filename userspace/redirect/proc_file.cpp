// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/proc_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "userspace/base/unique_fd.hpp"

namespace hagring::redirect {

Result<std::string> read_proc_file(const std::string& path) {
  constexpr std::size_t kLimit = 16 << 20;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return last_system_error();
  std::string text;
  std::array<char, 16384> buffer;
  for (;;) {
    const auto size = ::read(file.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return last_system_error();
    if (size == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(size));
    if (text.size() > kLimit) return hagring::Errc::too_large;
  }
}

}  // namespace hagring::redirect
