// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/key.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "userspace/base/hasher.hpp"

namespace hagring::kad {
namespace {

/// SHA-256 for what is hashed tens of times a message: the function is looked up once a thread.
class Sha256 {
 public:
  Sha256()
      : function_(EVP_MD_fetch(nullptr, "SHA256", nullptr), EVP_MD_free),
        context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {}

  Key::Array operator()(ByteView bytes) {
    Key::Array digest;
    if (!function_ || !context_ ||
        EVP_DigestInit_ex2(context_.get(), function_.get(), nullptr) != 1 ||
        EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1 ||
        EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) != 1) {
      throw std::runtime_error("OpenSSL can't hash: is its default provider loaded?");
    }
    return digest;
  }

 private:
  std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> function_;
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

Key Key::of(ByteView wire) {
  thread_local Sha256 sha256;
  return Key(sha256(wire));
}

Key Key::sibling(std::size_t index, const Key& tail) const noexcept {
  Key key = tail;
  const std::size_t whole = index / 8;
  std::copy_n(bytes_.begin(), whole, key.bytes_.begin());
  const auto own = static_cast<std::uint8_t>(0xff << (7 - index % 8));
  const auto turned = static_cast<std::uint8_t>(bytes_[whole] ^ (1U << (7 - index % 8)));
  key.bytes_[whole] = static_cast<std::uint8_t>((turned & own) | (tail.bytes_[whole] & ~own));
  return key;
}

Key Key::with_tail(std::size_t bits, std::uint8_t fill) const noexcept {
  Key key = *this;
  if (bits >= kBits) return key;
  const std::size_t whole = bits / 8;
  const auto tail = static_cast<std::uint8_t>(0xff >> (bits % 8));
  key.bytes_[whole] = static_cast<std::uint8_t>((key.bytes_[whole] & ~tail) | (fill & tail));
  std::fill(key.bytes_.begin() + static_cast<std::ptrdiff_t>(whole) + 1, key.bytes_.end(), fill);
  return key;
}

double Key::fraction() const noexcept {
  std::uint64_t top = 0;
  for (std::size_t i = 0; i < sizeof top; ++i) top = top << 8 | bytes_[i];
  return std::ldexp(static_cast<double>(top >> 11), -53);
}

Key distance(const Key& a, const Key& b) noexcept {
  Key::Array bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(a.bytes()[i] ^ b.bytes()[i]);
  }
  return Key(bytes);
}

bool nearer(const Key& target, const Key& a, const Key& b) noexcept {
  const auto differ = std::mismatch(a.bytes().begin(), a.bytes().end(), b.bytes().begin());
  if (differ.first == a.bytes().end()) return false;
  const auto index = static_cast<std::size_t>(differ.first - a.bytes().begin());
  const std::uint8_t at = target.bytes()[index];
  return (*differ.first ^ at) < (*differ.second ^ at);
}

std::size_t common_prefix_length(const Key& a, const Key& b) noexcept {
  for (std::size_t i = 0; i < a.bytes().size(); ++i) {
    const auto differ = static_cast<std::uint8_t>(a.bytes()[i] ^ b.bytes()[i]);
    if (differ != 0) return i * 8 + static_cast<std::size_t>(std::countl_zero(differ));
  }
  return Key::kBits;
}

Bytes content_wire_key(std::string_view name) {
  const auto digest = sha256(as_bytes(name));
  Bytes wire;
  wire.reserve(2 + digest.size());  // no more: a node keeps one for each of its keys
  wire.insert(wire.end(), {0x12, 0x20});
  wire.insert(wire.end(), digest.begin(), digest.end());
  return wire;
}

}  // namespace hagring::kad
