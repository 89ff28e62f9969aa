// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "userspace/base/address.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/resolver.hpp"
#include "userspace/egress/egress.hpp"
#include "userspace/redirect/client_watch.hpp"
#include "userspace/redirect/rule.hpp"

namespace hagring::agent {

/// Takes over the client's egress proxies: reads HTTPS_PROXY and its kin from the client's own
/// environment (the agent's isn't looked at), resolves the proxies' names again and again, and has
/// connections to them redirected. Used on the control thread.
class EgressKeeper {
 public:
  using Endpoint = asio::ip::tcp::endpoint;

  struct Options {
    /// How often names are resolved again, and sooner while one doesn't resolve.
    Duration interval = std::chrono::seconds(15);
    Duration retry = std::chrono::seconds(1);
    /// How long an address counts that its name isn't resolved to any more: of a large set name
    /// servers give a part at a time.
    Duration keep = std::chrono::minutes(10);
    std::size_t max_addresses = 64;
    /// What --exclude says: no proxy there is touched.
    std::vector<Prefix> excluded{};
    std::string proc = "/proc";
  };
  struct Hooks {
    std::function<Result<void>(const redirect::Rule&)> set_rule;
    std::function<void(const redirect::Rule&)> remove_rule;
    /// Whether an address may not be redirected since it is our own.
    std::function<bool(const Endpoint&)> is_own;
    /// Connections of this client to its proxies, if there are any, are redirected from now on.
    std::function<void(const redirect::WatchedClient&)> ready;
  };

  /// References outlive the keeper.
  EgressKeeper(asio::any_io_executor executor, Clock& clock, Resolver& resolver,
               egress::Egress& egress, Options options, Hooks hooks);

  /// Another client, the same, or none. Without a proxy for the trust probe, `ready` is called at
  /// once.
  void follow(const std::optional<redirect::WatchedClient>& client);

  /// Follows the proxies' names until cancelled.
  awaitable<void> run();

  /// Why some or all of what the client does by proxies is left alone; empty: nothing is. Without
  /// credentials.
  std::string problem() const;

 private:
  void read_environment();
  void announce();
  bool probe_reaches_us() const;
  awaitable<bool> resolve_all();
  void apply(const egress::Proxy& proxy, const Resolver::Addresses& addresses);
  void forget(const std::function<bool(const Endpoint&)>& which);
  void publish();
  std::vector<egress::Proxy> wanted() const;

  struct Known {
    std::string host;
    TimePoint seen;
  };

  Clock& clock_;
  Resolver& resolver_;
  egress::Egress& egress_;
  const Options options_;
  const Hooks hooks_;
  asio::steady_timer changed_;
  std::optional<redirect::WatchedClient> client_;
  bool announced_ = false;
  bool stale_ = false;  ///< another client has come while names were resolved
  std::map<Endpoint, Known> known_;
  std::vector<std::string> unread_;             ///< problems of the environment
  std::map<std::string, std::string> trouble_;  ///< by the proxy's name
};

}  // namespace hagring::agent
