// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/crypto.h>
#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace hagring::dht {

/// Bytes that are wiped when they go.
template <typename Container>
struct Secret {
  ~Secret() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
  Container bytes{};
};

/// A file that holds a secret, and what its owner is told when it can't be used.
struct SecretFile {
  std::string_view what;  ///< `the identity`
  std::filesystem::path path;
  mode_t closed;            ///< permission bits none of which may be set
  std::string_view remedy;  ///< what to do when one is
};

/// The file's text, at most 4 KiB; nullopt where there is no file. Throws StartError if it can't be
/// read, is a link, or is open to others.
std::optional<Secret<std::string>> read_secret(const SecretFile& file);

/// Makes the file with mode 0600, in one step. Throws StartError if it can't.
void write_secret(const SecretFile& file, std::string_view text);

}  // namespace hagring::dht
