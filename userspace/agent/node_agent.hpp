// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "dht/mesh_key.hpp"
#include "dht/node.hpp"
#include "registry/advertiser.hpp"
#include "registry/breaker_probes.hpp"
#include "registry/conduct.hpp"
#include "registry/containerd/store.hpp"
#include "registry/grants.hpp"
#include "registry/herd/child_server.hpp"
#include "registry/herd/finished_spools.hpp"
#include "registry/peer_server.hpp"
#include "registry/policy.hpp"
#include "registry/pull_record.hpp"
#include "userspace/agent/admin_server.hpp"
#include "userspace/agent/config.hpp"
#include "userspace/agent/cri_prober.hpp"
#include "userspace/agent/descriptors.hpp"
#include "userspace/agent/dht_router.hpp"
#include "userspace/agent/egress_keeper.hpp"
#include "userspace/agent/herd_mesh.hpp"
#include "userspace/agent/metrics.hpp"
#include "userspace/agent/mirror_worker.hpp"
#include "userspace/agent/name_keeper.hpp"
#include "userspace/agent/node_trust.hpp"
#include "userspace/agent/privacy_keeper.hpp"
#include "userspace/agent/runtime_restart.hpp"
#include "userspace/agent/status_document.hpp"
#include "userspace/agent/succession.hpp"
#include "userspace/agent/telemetry_server.hpp"
#include "userspace/base/data_threads.hpp"
#include "userspace/base/racing_dialer.hpp"
#include "userspace/base/tls_context.hpp"
#include "userspace/egress/egress_dialer.hpp"
#include "userspace/proxy/heartbeat.hpp"
#include "userspace/proxy/listener.hpp"
#include "userspace/proxy/session.hpp"
#include "userspace/proxy/splice.hpp"
#include "userspace/redirect/interception.hpp"
#include "userspace/redirect/redirector.hpp"
#include "userspace/systemd/notifier.hpp"

namespace hagring::agent {

/// The composition root: owns every part, wires them, starts and stops them in order. Lives on the
/// control thread; what sessions and mirrors call, on the data threads.
class NodeAgent {
 public:
  /// With a `predecessor` it shares that one's ports until succeed(). The `supervisor` is told as
  /// long as all threads answer. Throws StartError; nothing stays behind then.
  NodeAgent(const Config& config, asio::any_io_executor control, systemd::Notifier& supervisor,
            std::optional<Predecessor> predecessor = std::nullopt);

  /// Starts to serve, then to redirect. Throws StartError.
  void start();

  /// Takes the predecessor's place, once this agent is attached beside it; without one does
  /// nothing. Throws StartError when that can't be: then stop() this one; the other goes on.
  awaitable<void> succeed();
  /// Whether the heart beats and containerd's connections are led here, or it has been seen why
  /// they can't be.
  bool is_settled() const;
  /// What is_settled() came to, as a sentence.
  std::string ready_text() const { return ready().body; }
  /// Whether a successor has taken this agent's place.
  bool is_replaced() const { return replaced_; }

  /// Stops redirecting, lets streams end within a limit, ends everything else. Once, after start().
  awaitable<void> stop();

  /// While stop() runs: streams are no longer waited for.
  void hurry();

 private:
  using Endpoint = asio::ip::tcp::endpoint;

  // What sessions ask (userspace/proxy/session.hpp), on data threads.
  proxy::SessionHooks session_hooks(MirrorWorker& worker);
  Result<proxy::Original> original_of(int fd) const;
  awaitable<proxy::Decision> may_terminate(MirrorWorker& worker, std::string server_name,
                                           proxy::Original original);
  bool goes_by_proxy(bool tls, const std::string& host, std::uint16_t port) const;
  bool is_plain_registry(const proxy::Original& original) const;

  void relayed(const proxy::Original& original, const std::string& server_name,
               proxy::RelayNews news, const std::string& why);

  registry::MirrorHooks mirror_hooks();
  /// Whether `name` is a registry's that we can stand in for, if it doesn't resolve.
  bool may_answer_name(const std::string& name) const;
  /// Whether `endpoint` is one that only we answer: dialling it would lead back to us or nowhere.
  bool is_own(const Endpoint& endpoint) const;

  void client_changed(const redirect::InterceptionState& state);
  containerd::RuntimeProcess runtime_process() const;
  void client_ready(const redirect::WatchedClient& client);
  EgressKeeper::Hooks egress_hooks();
  RuntimeRestart::Hooks restart_hooks();
  void spawn_on_data_threads();
  awaitable<void> start_the_rest();
  void alive();
  void beat();
  Pages telemetry_pages();
  PageAnswer ready() const;
  StatusSources sources() const;
  awaitable<void> end_streams();
  awaitable<void> end_data_tasks(std::size_t thread);
  Capacity capacity() const;
  registry::PeerGateMaker gate_maker();
  registry::PeerServerOptions peer_server_options();
  void inquire(const std::string& repository, const registry::Digest& digest, bool manifest);
  std::unique_ptr<herd::Herds> make_herds();
  void store_changed(containerd::Changes changes);
  Pages admin_pages();
  Page begin_takeover();
  Page finish_takeover();
  PortSharing claim();
  bool can_succeed() const;
  std::string_view shortfall() const;
  std::string status() const;

  const Config config_;
  const asio::any_io_executor control_;
  systemd::Notifier& supervisor_;
  mutable SystemClock clock_;
  const TimePoint started_ = clock_.now();
  const std::optional<Predecessor> predecessor_;
  AdminServer admin_;  ///< claimed first, since that refuses a second agent
  const PortSharing sharing_;

  const registry::Policy policy_;
  redirect::Redirector redirector_;  ///< loads until start()
  NodeTrust trust_;
  const dht::Identity identity_;
  const std::optional<dht::MeshKey> mesh_key_;  ///< none among Spegel's nodes
  SslContext client_tls_;
  SslContext origin_tls_;

  // The threads outlive what runs on them, which stop() has drained before they end.
  DataThreads threads_;
  dns::DoubtfulNames doubtful_{clock_};
  SystemResolver registry_resolver_;  ///< the host's names
  dns::ImpatientResolver resolver_{clock_, registry_resolver_, doubtful_};
  SystemResolver mesh_resolver_;  ///< our own, in a pod the cluster's
  SystemConnector connector_;
  RacingDialer dialer_;
  RacingDialer mesh_dialer_;
  egress::Egress egress_;
  egress::EgressDialer origin_dialer_;
  proxy::Splicer splicer_;

  CriProber prober_;
  CriProber hosts_prober_;
  dht::Node node_;  ///< on the control thread
  DhtRouter router_;
  registry::Advertiser advertiser_;
  containerd::ContainerdStore store_;
  registry::Conduct conduct_;
  registry::Breaker breaker_;
  registry::VerifiedOrigins verified_;
  registry::BreakerProbes breaker_probes_;  ///< on the control thread
  registry::RateLimits rate_limits_;
  registry::PullRecord record_;
  registry::PullsUnderWay under_way_{clock_};
  Metrics metrics_;
  registry::KnownSizes sizes_;
  registry::Privacy privacy_;
  registry::Grants grants_;
  PrivacyKeeper privacy_keeper_;
  herd::FinishedSpools finished_spools_;
  herd::StoreWithSpools spooled_store_;  ///< store_ and what it is about to have
  HerdMesh herd_mesh_;
  HerdNotary herd_notary_;
  std::unique_ptr<herd::Herds> herds_;  ///< null: nothing is shared while it comes
  std::unique_ptr<herd::ChildServer> child_server_;
  registry::PeerServer peer_server_;
  proxy::SessionCounters session_counters_;
  std::vector<std::unique_ptr<MirrorWorker>> workers_;      ///< one a data thread
  std::vector<std::unique_ptr<proxy::Sessions>> sessions_;  ///< one a data thread
  proxy::Listener listener_;
  proxy::Heartbeat heartbeat_;
  std::atomic<TimePoint::rep> last_alive_{0};  ///< all threads answered
  EgressKeeper egress_keeper_;
  NameKeeper names_;
  redirect::Interception interception_;
  systemd::ServiceManager systemd_;
  RuntimeRestart restart_;

  std::atomic<bool> beaten_ = false;
  asio::steady_timer begun_;  ///< cancelled when the heart has begun to beat
  bool stopping_ = false;     ///< on the control thread, as the next
  bool hurried_ = false;
  bool replaced_ = false;

  std::unique_ptr<TelemetryServer> telemetry_;  ///< null: nobody is told
  TaskGroup interception_tasks_;                ///< ends first
  TaskGroup control_tasks_;
  /// One a data thread, used on that thread only; the first one's thread accepts and beats.
  std::vector<std::unique_ptr<TaskGroup>> data_tasks_;
};

}  // namespace hagring::agent
