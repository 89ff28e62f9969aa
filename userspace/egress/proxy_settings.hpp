// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/egress/no_proxy.hpp"
#include "userspace/egress/proxy_url.hpp"

namespace hagring::egress {

using Environment = std::map<std::string, std::string, std::less<>>;

/// The variables of /proc/<pid>/environ. Of one that is there twice the first counts, as for Go
/// (syscall.copyenv).
Environment parse_environment(std::string_view environ);

/// By which proxies a process of Go reaches servers: HTTPS_PROXY, HTTP_PROXY and NO_PROXY of its
/// environment, as golang.org/x/net/http/httpproxy reads them; upper case before lower case, an
/// empty variable is none.
class ProxySettings {
 public:
  /// Without any proxy.
  ProxySettings() = default;
  explicit ProxySettings(const Environment& variables);

  /// The proxy for requests to `host` at `port`, with TLS or without; nullopt: directly.
  std::optional<Proxy> proxy_for(bool tls, std::string_view host, std::uint16_t port) const;

  /// For requests with TLS, and without.
  const std::optional<Proxy>& https() const { return https_; }
  const std::optional<Proxy>& http() const { return http_; }
  /// As it was written.
  const std::string& no_proxy() const { return no_proxy_text_; }
  /// What can't be read, a sentence each, without the values, which may hold credentials.
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  std::optional<Proxy> read(const Environment& variables, std::string_view upper,
                            std::string_view lower);

  std::vector<std::string> problems_;  ///< first, since the next are read with it
  std::optional<Proxy> https_;
  std::optional<Proxy> http_;
  std::string no_proxy_text_;
  NoProxy no_proxy_;
};

}  // namespace hagring::egress
