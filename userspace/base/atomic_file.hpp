// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "userspace/base/result.hpp"

namespace hagring {

/// Replaces the file `name` of the open directory `directory_fd` by `text` in one step: who reads
/// it sees the old or the new one, after a crash too. A link of that name is replaced, not
/// followed. `mode` isn't cut by the umask. A file ".<name>.new" that a crash has left is replaced.
/// Errors: the system's.
Result<void> write_file_atomically(int directory_fd, const std::string& name, std::string_view text,
                                   mode_t mode);

/// The same in the directory of `path`; Errc::not_found when there is none.
Result<void> write_file_atomically(const std::filesystem::path& path, std::string_view text,
                                   mode_t mode);

/// Reads a regular file of at most `max_size` bytes; a link isn't followed.
/// Errors: Errc::not_found, Errc::too_large, Errc::unsupported (not a regular file), the system's.
Result<std::string> read_small_file(int directory_fd, const std::string& name,
                                    std::size_t max_size);

/// The same at `path`.
Result<std::string> read_small_file(const std::filesystem::path& path, std::size_t max_size);

}  // namespace hagring
