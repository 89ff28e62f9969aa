// SPDX-License-Identifier: Apache-2.0
#include "registry/digest.hpp"

#include <algorithm>

namespace hagring::registry {
namespace {

struct Registered {
  std::string_view prefix;
  HashAlgorithm algorithm;
  std::size_t hex_digits;
};

constexpr Registered kRegistered[] = {
    {"sha256:", HashAlgorithm::sha256, 64},
    {"sha512:", HashAlgorithm::sha512, 128},
};

bool is_lower_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

}  // namespace

std::optional<Digest> Digest::parse(std::string_view text) {
  for (const auto& known : kRegistered) {
    if (!text.starts_with(known.prefix)) continue;
    const auto hex = text.substr(known.prefix.size());
    if (hex.size() != known.hex_digits || !std::ranges::all_of(hex, is_lower_hex)) break;
    return Digest(known.algorithm, std::string(hex));
  }
  return std::nullopt;
}

Digest Digest::of(HashAlgorithm algorithm, const Hasher& hasher) {
  return Digest(algorithm, to_hex(hasher.digest()));
}

std::string_view Digest::algorithm_name() const {
  return algorithm_ == HashAlgorithm::sha256 ? "sha256" : "sha512";
}

std::string Digest::to_string() const {
  std::string text(algorithm_name());
  text += ':';
  text += hex_;
  return text;
}

bool Digest::matches(const Hasher& hasher) const { return to_hex(hasher.digest()) == hex_; }

}  // namespace hagring::registry
