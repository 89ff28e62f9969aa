// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstring>

#include "bpf/redirect_abi.h"
#include "userspace/base/address.hpp"
#include "userspace/base/asio.hpp"

namespace hagring::redirect {

/// `address` as the maps have it: network byte order, IPv4 as ::ffff:a.b.c.d.
inline abi::address to_abi(const asio::ip::address& address) {
  const auto bytes =
      (address.is_v4() ? asio::ip::make_address_v6(asio::ip::v4_mapped, address.to_v4())
                       : address.to_v6())
          .to_bytes();
  abi::address out{};
  std::memcpy(out.words, bytes.data(), sizeof(out.words));
  return out;
}

/// The reverse; ::ffff:a.b.c.d comes back as IPv4.
inline asio::ip::address from_abi(const abi::address& address) {
  asio::ip::address_v6::bytes_type bytes;
  std::memcpy(bytes.data(), address.words, bytes.size());
  return unmapped(asio::ip::address_v6(bytes));
}

/// Copies `text` into a char array of a map, cut to fit and padded with zeros.
template <std::size_t N>
void set_text(char (&into)[N], std::string_view text) {
  std::memset(into, 0, N);
  std::memcpy(into, text.data(), std::min(text.size(), N - 1));
}

/// What set_text wrote.
template <std::size_t N>
std::string get_text(const char (&from)[N]) {
  return std::string(from, strnlen(from, N));
}

}  // namespace hagring::redirect
