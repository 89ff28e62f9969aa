// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "userspace/base/hasher.hpp"

namespace hagring::registry {

/// A content digest, `sha256:<64 hex>` or `sha512:<128 hex>` in lower case (OCI image-spec,
/// descriptor.md, "Digests"). Always valid.
class Digest {
 public:
  /// nullopt for anything but the two registered algorithms with hex of the right length.
  static std::optional<Digest> parse(std::string_view text);
  static Digest of(HashAlgorithm algorithm, const Hasher& hasher);

  HashAlgorithm algorithm() const { return algorithm_; }
  /// `sha256` or `sha512`.
  std::string_view algorithm_name() const;
  std::string_view hex() const { return hex_; }
  std::string to_string() const;
  /// Whether `hasher`, of this digest's algorithm, has seen exactly this content.
  bool matches(const Hasher& hasher) const;

  auto operator<=>(const Digest&) const = default;

 private:
  Digest(HashAlgorithm algorithm, std::string hex) : algorithm_(algorithm), hex_(std::move(hex)) {}
  HashAlgorithm algorithm_;
  std::string hex_;
};

}  // namespace hagring::registry

template <>
struct std::hash<hagring::registry::Digest> {
  std::size_t operator()(const hagring::registry::Digest& digest) const noexcept {
    return std::hash<std::string_view>()(digest.hex());
  }
};
