// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "userspace/base/result.hpp"

namespace hagring::egress {

/// A proxy as HTTP_PROXY or HTTPS_PROXY names it.
struct Proxy {
  std::string scheme{};  ///< `http`, `https`, `socks5`, …; empty: the value can't be read
  std::string host{};    ///< in lower case; IPv6 without its brackets
  std::uint16_t port = 80;
  /// The value of Proxy-Authorization, empty without user information in the URL. A secret: it goes
  /// to the proxy and nowhere else.
  std::string authorization{};

  /// Whether we speak to it: plain HTTP. With https:// the client verifies the proxy's certificate,
  /// which our authority may not sign.
  bool supported() const { return scheme == "http"; }
  /// `http://proxy.example:3128`, for people: without the credentials. `unreadable` if it is.
  std::string shown() const;
  bool operator==(const Proxy&) const = default;
};

/// Reads a proxy as Go does (golang.org/x/net/http/httpproxy, parseProxy): a URL, or what becomes
/// one with `http://` in front. Errors: Errc::bad_message. What Go makes of those is chance: it
/// asks a proxy named `http`, connects to no host at all, or goes without a proxy (seen with
/// Go 1.26).
Result<Proxy> parse_proxy(std::string_view text);

}  // namespace hagring::egress
