// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/address.hpp"

namespace hagring::egress {

/// Which servers are reached without a proxy: NO_PROXY as Go reads it
/// (golang.org/x/net/http/httpproxy, config.init and useProxy). A comma-separated list of
///   example.com, example.com:8443     the name and all below it (at that port)
///   .example.com, *.example.com       what is below it
///   10.1.2.3, [fd00::1]:443           an address
///   10.0.0.0/8                        a range, without a port
///   *                                 everything
/// `localhost` and loopback addresses never have a proxy. Names aren't resolved.
class NoProxy {
 public:
  NoProxy() = default;
  explicit NoProxy(std::string_view list);

  /// `host` is a name, or an address as text without brackets.
  bool exempts(std::string_view host, std::uint16_t port) const;

 private:
  struct Address {
    Prefix range;
    std::string port{};  ///< empty: any
  };
  struct Domain {
    std::string suffix;   ///< with a dot in front
    bool itself = false;  ///< the name without the dot, too
    std::string port{};   ///< empty: any
  };

  void add(std::string_view entry);

  bool all_ = false;
  std::vector<Address> addresses_;
  std::vector<Domain> domains_;
};

}  // namespace hagring::egress
