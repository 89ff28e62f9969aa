// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dht/multiformats/multiaddr.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/dialer.hpp"
#include "userspace/base/resolver.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/http/url.hpp"

namespace hagring::dht {

/// Where a node finds its first peers. All sources are asked at once.
struct BootstrapOptions {
  /// `/ip4|ip6/…/tcp/…`, or a name, `/dns|dns4|dns6/…/tcp/…`, each of whose addresses is a peer (a
  /// headless Service); with /p2p it must be that peer.
  std::vector<Multiaddr> peers{};
  /// Each answers `[{"ID": "12D3Koo…", "Addrs": ["/ip4/…/tcp/…"]}]`, as Spegel's HTTP bootstrap
  /// does (pkg/routing/libp2p/bootstrap.go).
  std::vector<http::Url> urls{};
  /// Whether an address that a URL's answer names may be dialled; empty: any.
  std::function<bool(const asio::ip::address&)> may_dial{};
  Duration limit = std::chrono::seconds(5);  ///< for one source
  std::size_t max_peers = 64;                ///< taken of one source; liars can't name more
};

/// An address to try, and who must be there if that is known.
struct BootstrapPeer {
  asio::ip::tcp::endpoint address;
  std::optional<PeerId> peer;

  bool operator==(const BootstrapPeer&) const = default;
};

/// Reads the body of an HTTP bootstrap's answer: the addresses over TCP in it, at most `max`.
/// Errors: Errc::bad_message.
Result<std::vector<BootstrapPeer>> parse_bootstrap_peers(std::string_view json, std::size_t max);

/// Asks the sources. Runs on its caller's executor.
class Bootstrap {
 public:
  /// `clock`, `resolver` and `dialer` must outlive this.
  Bootstrap(asio::any_io_executor executor, Clock& clock, Resolver& resolver, Dialer& dialer,
            BootstrapOptions options);

  /// What the sources name now, each address once. A source that fails is logged when its failure
  /// is a new one. One caller at a time.
  awaitable<std::vector<BootstrapPeer>> gather();

  /// Ends a gather() under way, which cancelling its caller doesn't; later ones name nobody.
  void stop();

  bool empty() const { return options_.peers.empty() && options_.urls.empty(); }

 private:
  using Peers = std::vector<BootstrapPeer>;
  awaitable<Result<Peers>> of_address(Multiaddr address);
  awaitable<Result<Peers>> of_url(http::Url url);
  awaitable<void> ask(std::string source, awaitable<Result<Peers>> asked, Peers& into);

  asio::any_io_executor executor_;
  Clock& clock_;
  Resolver& resolver_;
  Dialer& dialer_;
  const BootstrapOptions options_;
  bool stopped_ = false;
  std::map<std::string, std::string> failures_;  ///< by source, as logged last
  TaskGroup asking_;
};

}  // namespace hagring::dht
