// SPDX-License-Identifier: Apache-2.0
#include "dht/secret_file.hpp"

#include <fmt/core.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "userspace/base/atomic_file.hpp"

namespace hagring::dht {
namespace {

constexpr std::size_t kMaxFile = 4096;
constexpr mode_t kOwnerOnly = 0600;

bool is_open_to_others(const SecretFile& file) {
  struct stat info{};
  return ::lstat(file.path.c_str(), &info) == 0 && (info.st_mode & file.closed) != 0;
}

}  // namespace

std::optional<Secret<std::string>> read_secret(const SecretFile& file) {
  auto text = read_small_file(file.path, kMaxFile);
  if (!text && text.error() == Errc::not_found) return std::nullopt;
  if (!text) {
    throw StartError(fmt::format("{} {} can't be read: {}", file.what, file.path.string(),
                                 text.error().message()));
  }
  if (is_open_to_others(file)) {
    throw StartError(
        fmt::format("{} {} is open to others: {}", file.what, file.path.string(), file.remedy));
  }
  return Secret<std::string>{std::move(*text)};
}

void write_secret(const SecretFile& file, std::string_view text) {
  if (const auto written = write_file_atomically(file.path, text, kOwnerOnly); !written) {
    throw StartError(
        fmt::format("{} {} can't be written: {}; make its directory, or name another file",
                    file.what, file.path.string(), written.error().message()));
  }
}

}  // namespace hagring::dht
