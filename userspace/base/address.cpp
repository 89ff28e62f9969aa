// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/address.hpp"

#include <algorithm>
#include <charconv>

namespace hagring {
namespace {

asio::ip::address masked(const asio::ip::address& address, unsigned length) {
  const auto mask = [length](auto bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const auto kept = std::clamp<int>(static_cast<int>(length) - static_cast<int>(i) * 8, 0, 8);
      bytes[i] = static_cast<unsigned char>(bytes[i] & (0xff00 >> kept));
    }
    return bytes;
  };
  if (address.is_v4()) return asio::ip::address_v4(mask(address.to_v4().to_bytes()));
  return asio::ip::address_v6(mask(address.to_v6().to_bytes()));
}

}  // namespace

asio::ip::address unmapped(const asio::ip::address& address) {
  if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
  return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
}

asio::ip::address source_of(const asio::ip::address& address) {
  const auto plain = unmapped(address);
  return plain.is_v6() ? masked(plain, 64) : plain;
}

bool Prefix::contains(const asio::ip::address& candidate) const {
  return candidate.is_v4() == address.is_v4() && masked(candidate, length) == address;
}

Prefix prefix_of(const asio::ip::address& address, unsigned length) {
  return {masked(address, length), length};
}

Result<Prefix> parse_prefix(std::string_view text) {
  const auto slash = text.find('/');
  boost::system::error_code error;
  const auto address = asio::ip::make_address(std::string(text.substr(0, slash)), error);
  if (error) return Errc::bad_message;
  const unsigned longest = address.is_v4() ? 32 : 128;
  unsigned length = longest;
  if (slash != std::string_view::npos) {
    const auto digits = text.substr(slash + 1);
    const auto [end, failure] =
        std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (failure != std::errc() || end != digits.data() + digits.size() || length > longest) {
      return Errc::bad_message;
    }
  }
  if (unmapped(address) != address && length >= 96) {
    return prefix_of(unmapped(address), length - 96);
  }
  return prefix_of(address, length);
}

std::string to_string(const Prefix& prefix) {
  return prefix.address.to_string() + "/" + std::to_string(prefix.length);
}

}  // namespace hagring
