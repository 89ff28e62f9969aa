// SPDX-License-Identifier: Apache-2.0
#include "userspace/egress/proxy_settings.hpp"

namespace hagring::egress {
namespace {

/// The first of two variables that isn't empty.
std::string_view value_of(const Environment& variables, std::string_view upper,
                          std::string_view lower) {
  for (const auto name : {upper, lower}) {
    const auto found = variables.find(name);
    if (found != variables.end() && !found->second.empty()) return found->second;
  }
  return {};
}

}  // namespace

Environment parse_environment(std::string_view environ) {
  Environment variables;
  while (!environ.empty()) {
    const auto entry = environ.substr(0, environ.find('\0'));
    environ.remove_prefix(std::min(entry.size() + 1, environ.size()));
    const auto equals = entry.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    variables.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return variables;
}

ProxySettings::ProxySettings(const Environment& variables)
    : https_(read(variables, "HTTPS_PROXY", "https_proxy")),
      http_(read(variables, "HTTP_PROXY", "http_proxy")),
      no_proxy_text_(value_of(variables, "NO_PROXY", "no_proxy")),
      no_proxy_(no_proxy_text_) {}

std::optional<Proxy> ProxySettings::read(const Environment& variables, std::string_view upper,
                                         std::string_view lower) {
  const auto value = value_of(variables, upper, lower);
  if (value.empty()) return std::nullopt;
  const auto proxy = parse_proxy(value);
  if (!proxy) {
    problems_.push_back(std::string(upper) +
                        " is no URL of a proxy, such as http://proxy.example:3128: what would go "
                        "through it is left alone");
    return Proxy{};
  }
  if (!proxy->supported()) {
    problems_.push_back(std::string(upper) + " names a proxy of the kind " + proxy->scheme +
                        "://, of which only http:// is understood: what goes through it is left "
                        "alone");
  }
  return *proxy;
}

std::optional<Proxy> ProxySettings::proxy_for(bool tls, std::string_view host,
                                              std::uint16_t port) const {
  const auto& proxy = tls ? https_ : http_;
  if (!proxy || no_proxy_.exempts(host, port)) return std::nullopt;
  return proxy;
}

}  // namespace hagring::egress
