// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "userspace/egress/proxy_settings.hpp"

namespace hagring::egress {

/// By which proxies the client of the moment reaches servers, and so do we for it. Written by
/// whoever watches the client, read on all threads.
class Egress {
 public:
  using Endpoint = asio::ip::tcp::endpoint;
  struct ProxyAddress {
    Endpoint endpoint;
    std::string host;  ///< the proxy's name, as the settings have it

    bool operator==(const ProxyAddress&) const = default;
  };

  void set(std::shared_ptr<const ProxySettings> settings);
  /// The addresses of those proxies among the settings' that we speak to.
  void set_proxies(std::vector<ProxyAddress> proxies);

  std::shared_ptr<const ProxySettings> settings() const;
  std::vector<ProxyAddress> proxies() const;

  std::optional<Proxy> proxy_for(bool tls, std::string_view host, std::uint16_t port) const {
    return settings()->proxy_for(tls, host, port);
  }
  /// The name of the proxy that is at `endpoint`; nullopt: none is.
  std::optional<std::string> proxy_at(const Endpoint& endpoint) const;

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const ProxySettings> settings_ = std::make_shared<ProxySettings>();
  std::vector<ProxyAddress> proxies_;
};

}  // namespace hagring::egress
