// SPDX-License-Identifier: Apache-2.0
#include "userspace/egress/egress.hpp"

#include <algorithm>

namespace hagring::egress {

void Egress::set(std::shared_ptr<const ProxySettings> settings) {
  const std::lock_guard lock(mutex_);
  settings_ = std::move(settings);
}

void Egress::set_proxies(std::vector<ProxyAddress> proxies) {
  const std::lock_guard lock(mutex_);
  proxies_ = std::move(proxies);
}

std::shared_ptr<const ProxySettings> Egress::settings() const {
  const std::lock_guard lock(mutex_);
  return settings_;
}

std::vector<Egress::ProxyAddress> Egress::proxies() const {
  const std::lock_guard lock(mutex_);
  return proxies_;
}

std::optional<std::string> Egress::proxy_at(const Endpoint& endpoint) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(proxies_, endpoint, &ProxyAddress::endpoint);
  if (found == proxies_.end()) return std::nullopt;
  return found->host;
}

}  // namespace hagring::egress
