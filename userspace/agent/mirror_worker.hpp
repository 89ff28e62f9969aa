// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "registry/bounded_map.hpp"
#include "registry/fetcher.hpp"
#include "registry/grants.hpp"
#include "registry/known_sizes.hpp"
#include "registry/mirror.hpp"
#include "registry/origin.hpp"
#include "registry/origin_check.hpp"
#include "registry/privacy.hpp"
#include "registry/upstream.hpp"
#include "userspace/agent/config.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/proxy/leaf_mint.hpp"
#include "userspace/proxy/session.hpp"

namespace hagring::agent {

/// What all data threads share; all of it is safe on any thread and outlives the workers.
struct MirrorShared {
  Clock& clock;
  const registry::Policy& policy;
  registry::ContentStore& store;
  registry::ContentRouter& router;
  registry::Conduct& conduct;
  registry::OriginMemory memory;
  registry::VerifiedOrigins& verified;
  registry::PullRecord& record;
  registry::PullsUnderWay& under_way;
  registry::KnownSizes& sizes;
  registry::Privacy& privacy;
  registry::Grants& grants;
  herd::Herds* herds = nullptr;  ///< null: nothing is shared while it comes
  Dialer& dialer;                ///< for peers
  Dialer& origin_dialer;         ///< by the client's egress proxies
  SSL_CTX* origin_tls;
  SSL_CTX* client_tls;
  const proxy::Authorities& authorities;
  registry::MirrorHooks hooks{};
  registry::PeerGateMaker make_gate{};  ///< what peers are asked through; empty: plain HTTP
};

/// The mirror of one data thread: kept connections, certificates and verdicts on origins are the
/// thread's own, so that nothing is locked. Used on that thread only.
class MirrorWorker {
 public:
  /// `executor` is the thread's.
  MirrorWorker(asio::any_io_executor executor, const MirrorShared& shared, const Config& config);

  /// Answers the requests of one connection until it ends.
  awaitable<void> serve(proxy::Intercepted connection);

  /// Ends connections that wait for a request, and others when theirs is answered.
  void drain() { mirror_.drain(); }

  /// Asks a repository's registry whether it is for everybody, by content of it; an inquiry has
  /// begun (registry::Privacy).
  void ask_as_anybody(const std::string& repository, const registry::Digest& digest, bool manifest);

  /// Ends what goes on besides connections, which must have ended before.
  awaitable<void> stop();

  /// Whether we could stand in for the client at this origin.
  awaitable<registry::OriginVerdict> inspect(Destination origin) {
    return check_.inspect(std::move(origin));
  }

  /// Forgets the verdict on an origin whose chain has been refused since.
  void forget(const std::string& host, std::uint16_t port) { check_.forget(host, port); }

  /// A server's SSL with a leaf for `name`; null when none may be made.
  SslHandle make_server_ssl(const std::string& name);

  /// Closes connections that have been idle for too long, again and again until cancelled.
  awaitable<void> sweep();

 private:
  registry::MirrorHooks hooks(registry::MirrorHooks shared);
  /// Whether `digest` was seen for the first time in a while.
  bool is_news(const registry::Digest& digest);

  Clock& clock_;
  const registry::Policy& policy_;
  registry::Privacy& privacy_;
  SSL_CTX* client_tls_;
  proxy::LeafMint mint_;
  registry::UpstreamClient origins_;
  std::unique_ptr<registry::PeerGate> gate_;
  registry::UpstreamClient peers_;
  registry::Fetcher fetcher_;
  registry::Origin origin_;
  registry::OriginCheck check_;
  registry::Mirror mirror_;
  TaskGroup background_;
  /// When the rest of the agent was last told of content that clients were sent.
  registry::BoundedMap<registry::Digest, TimePoint> told_;
  bool stopped_ = false;
};

}  // namespace hagring::agent
