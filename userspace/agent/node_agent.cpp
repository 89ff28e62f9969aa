// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/node_agent.hpp"

#include <unistd.h>

#include "userspace/agent/descriptors.hpp"
#include "userspace/agent/lookup_page.hpp"
#include "userspace/agent/mesh_gate.hpp"
#include "userspace/agent/mesh_options.hpp"
#include "userspace/agent/scrape.hpp"
#include "userspace/agent/setting_value.hpp"
#include "userspace/agent/start_options.hpp"
#include "userspace/agent/status_document.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/run_on.hpp"
#include "userspace/redirect/process.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;

/// What streams under way have to end once nothing new is redirected.
constexpr auto kDrainLimit = 10s;
/// For the runtime to commit what a client has got; longer than it takes to unpack a layer.
constexpr auto kSpoolAge = 60s;

std::vector<asio::any_io_executor> executors(DataThreads& threads) {
  std::vector<asio::any_io_executor> all;
  for (std::size_t i = 0; i < threads.size(); ++i) all.push_back(threads.at(i).get_executor());
  return all;
}

std::vector<asio::any_io_executor> watched(DataThreads& threads, asio::any_io_executor control) {
  auto all = executors(threads);
  all.push_back(std::move(control));
  return all;
}

}  // namespace

NodeAgent::NodeAgent(const Config& config, asio::any_io_executor control,
                     systemd::Notifier& supervisor, std::optional<Predecessor> predecessor)
    : config_(config),
      control_(control),
      supervisor_(supervisor),
      predecessor_(std::move(predecessor)),
      admin_(control, config.admin_socket, admin_pages()),
      sharing_(claim()),
      policy_(make_policy(config)),
      redirector_(redirector_options(config, policy_), redirect::Redirector::Load::beside),
      trust_(config, policy_, clock_),
      identity_(dht::Identity::load_or_create(identity_file(config))),
      mesh_key_(load_mesh_key(config)),
      client_tls_(make_server_context()),
      origin_tls_(make_client_context(load_origin_roots(config))),
      threads_(config.data_threads, "data"),
      registry_resolver_({}, registry_lookup(config)),
      dialer_(resolver_, connector_,
              {.refuses = [this](const Endpoint& endpoint) { return is_own(endpoint); }}),
      mesh_dialer_(mesh_resolver_, connector_,
                   {.refuses = [this](const Endpoint& endpoint) { return is_own(endpoint); }}),
      origin_dialer_(clock_, dialer_, egress_),
      splicer_({}),
      prober_([this] { return store_.state().socket; }),
      hosts_prober_([this] { return store_.state().socket; }, kHostsProbe),
      node_(control, clock_, identity_, mesh_dialer_, mesh_resolver_,
            node_options(config, mesh_key_, sharing_)),
      router_(
          control, node_, [this] { return peer_server_.endpoint().port(); },
          [this](std::optional<Duration> first) { metrics_.looked_up(first); }),
      advertiser_(control, clock_, router_),
      store_(
          control, clock_, store_options(config),
          [this](containerd::Changes changes) { store_changed(std::move(changes)); },
          layer_options(config)),
      conduct_(clock_),
      breaker_(clock_),
      breaker_probes_(control, clock_, origin_dialer_, origin_tls_.get(), breaker_),
      rate_limits_(clock_),
      privacy_(clock_, {.peers_may_free = mesh_key_.has_value()}),
      grants_(clock_),
      privacy_keeper_(privacy_, clock_, privacy_file(config), predecessor_.has_value()),
      finished_spools_(clock_, kSpoolAge),
      spooled_store_(store_, finished_spools_),
      herd_mesh_(control, clock_, node_, [this] { return peer_server_.endpoint().port(); }),
      herd_notary_(identity_),
      herds_(make_herds()),
      child_server_(herds_ ? std::make_unique<herd::ChildServer>(*herds_, policy_, privacy_)
                           : nullptr),
      peer_server_(control, threads_, spooled_store_, clock_, peer_server_options(), {},
                   gate_maker()),
      listener_(threads_.at(0).get_executor(), executors(threads_),
                {.max_connections = capacity().clients, .full = [this] { redirector_.pause(); }},
                [this](asio::ip::tcp::socket client, std::size_t thread) {
                  return sessions_[thread]->serve(std::move(client));
                }),
      heartbeat_(watched(threads_, control),
                 {.willing = [this] { return listener_.has_room(); },
                  .beat = [this] { beat(); },
                  .alive = [this] { alive(); }},
                 {}),
      egress_keeper_(control, clock_, resolver_, egress_, {.excluded = excluded_ranges(config)},
                     egress_hooks()),
      names_(control, clock_, name_hooks(redirector_), doubtful_, name_options(config),
             [this](const std::string& name) { return may_answer_name(name); }),
      interception_(redirector_, clock_, {.socket = [this] { return store_.state().socket; }},
                    [this](const redirect::InterceptionState& state) { client_changed(state); }),
      systemd_(clock_, systemd::bus_socket_below(mounted_root(config))),
      restart_(clock_, systemd_, restart_options(config), restart_hooks()),
      begun_(control),
      interception_tasks_(control, "interception"),
      control_tasks_(control, "control") {
  if (config.metrics_listen) {
    telemetry_ = std::make_unique<TelemetryServer>(
        control, clock_,
        TelemetryServer::Options{.listen = *config.metrics_listen, .sharing = sharing_},
        telemetry_pages());
  }
  const MirrorShared shared{.clock = clock_,
                            .policy = policy_,
                            .store = spooled_store_,
                            .router = router_,
                            .conduct = conduct_,
                            .memory = {breaker_, rate_limits_},
                            .verified = verified_,
                            .record = record_,
                            .under_way = under_way_,
                            .sizes = sizes_,
                            .privacy = privacy_,
                            .grants = grants_,
                            .herds = herds_.get(),
                            .dialer = dialer_,
                            .origin_dialer = origin_dialer_,
                            .origin_tls = origin_tls_.get(),
                            .client_tls = client_tls_.get(),
                            .authorities = trust_.authorities(),
                            .hooks = mirror_hooks(),
                            .make_gate = gate_maker()};
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    workers_.push_back(
        std::make_unique<MirrorWorker>(threads_.at(i).get_executor(), shared, config_));
    sessions_.push_back(
        std::make_unique<proxy::Sessions>(clock_, dialer_, splicer_, session_counters_,
                                          session_hooks(*workers_[i]), proxy::SessionOptions()));
    data_tasks_.push_back(std::make_unique<TaskGroup>(threads_.at(i).get_executor(), "data"));
  }
}

void NodeAgent::hurry() {
  hurried_ = true;
  peer_server_.cut();
}

awaitable<void> NodeAgent::stop() {
  stopping_ = true;
  if (replaced_) co_await admin_.stop();  // the successor waits for it
  interception_tasks_.cancel();
  co_await interception_tasks_.drain();
  co_await end_streams();
  control_tasks_.cancel();
  co_await control_tasks_.drain();
  co_await names_.drain();
  co_await router_.stop();
  if (herds_) co_await herds_->stop();
  co_await herd_mesh_.stop();
  co_await node_.stop();
  co_await peer_server_.drain();
  privacy_keeper_.finish();
  // A coroutine that has told that it ended may still be leaving its thread.
  threads_.join();
  co_await breaker_probes_.stop();
  co_await store_.stop();
  if (telemetry_) co_await telemetry_->stop();
  co_await admin_.stop();
  redirector_.remove_pins();
}

awaitable<void> NodeAgent::end_streams() {
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    asio::post(threads_.at(i), [this, i] { workers_[i]->drain(); });
  }
  for (const auto end = clock_.now() + kDrainLimit;
       !hurried_ && (listener_.connections() > 0 || names_.stub().under_way() > 0) &&
       clock_.now() < end;) {
    co_await clock_.sleep_for(20ms);
  }
  co_await run_on<int>(threads_.at(0).get_executor(), *data_tasks_[0],
                       [this]() -> awaitable<Result<int>> {
                         co_await listener_.drain();
                         co_return 0;
                       });
  // On the threads that the tasks are of. Nobody cancels this, so no cancellation crosses over.
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    co_await asio::co_spawn(threads_.at(i).get_executor(), end_data_tasks(i), asio::use_awaitable);
  }
}

awaitable<void> NodeAgent::end_data_tasks(std::size_t thread) {
  data_tasks_[thread]->cancel();
  co_await data_tasks_[thread]->drain();
  co_await workers_[thread]->stop();
}

containerd::RuntimeProcess NodeAgent::runtime_process() const {
  const auto state = store_.state();
  const auto& client = interception_.state().client;
  return {.socket = state.socket,
          .version = state.version,
          .pid = client ? client->pid : 0,
          .host_root = mounted_root(config_)};
}

void NodeAgent::client_changed(const redirect::InterceptionState& state) {
  // Connections that were led to us before the end are served as they would have been.
  if (stopping_) return;
  const bool there = state.client && state.attached;
  const auto former = trust_.client();
  if (former && (!there || *former != state.client->pid)) trust_.client_is({});
  names_.follow(there ? std::optional(state.client->pid) : std::nullopt);
  egress_keeper_.follow(there ? state.client : std::nullopt);
}

/// Its connections are led to us, by whatever way it takes out.
void NodeAgent::client_ready(const redirect::WatchedClient& client) {
  trust_.client_is({{client.pid, redirect::wall_time_of(client.start_time)}});
  const bool known = predecessor_ && predecessor_->client == client.pid &&
                     predecessor_->client_start == client.start_time;
  if (known) trust_.vouched(predecessor_->authority, predecessor_->trusted, predecessor_->files);
}

EgressKeeper::Hooks NodeAgent::egress_hooks() {
  return {.set_rule = [this](const redirect::Rule& rule) { return redirector_.set_rule(rule); },
          .remove_rule = [this](const redirect::Rule& rule) { redirector_.remove_rule(rule); },
          .is_own = [this](const Endpoint& endpoint) { return is_own(endpoint); },
          .ready = [this](const redirect::WatchedClient& client) { client_ready(client); }};
}

RuntimeRestart::Hooks NodeAgent::restart_hooks() {
  return {.due = [this]() -> std::optional<RestartCandidate> {
            const auto& state = interception_.state();
            if (!state.client || !trust_.restart_would_help()) return std::nullopt;
            return RestartCandidate{.cgroup_path = state.client->cgroup.path,
                                    .pid = state.client->pid,
                                    .ca_directory = trust_.ca_directory()};
          },
          .busy = [this] { return listener_.connections() > 0; }};
}

bool NodeAgent::is_own(const Endpoint& endpoint) const {
  static const auto only_ours = prefix_of(dns::kInventedAddress, 24);
  return listener_.is_own(endpoint) || only_ours.contains(unmapped(endpoint.address()));
}

Capacity NodeAgent::capacity() const {
  return capacity_for(descriptor_limit(), {.clients = config_.max_connections,
                                           .peers = registry::PeerServerOptions().max_connections});
}

/// Among Spegel's nodes there is none.
registry::PeerGateMaker NodeAgent::gate_maker() {
  if (!mesh_key_) return {};
  return [this] { return std::make_unique<MeshGate>(identity_, *mesh_key_, clock_); };
}

registry::PeerServerOptions NodeAgent::peer_server_options() {
  return {
      .listen = config_.peer_listen,
      .sharing = sharing_,
      .max_connections = capacity().peers,
      .responder = {.policy = &policy_,
                    .privacy = &privacy_,
                    .inquire = [this](const std::string& repository, const registry::Digest& digest,
                                      bool manifest) { inquire(repository, digest, manifest); },
                    .anybody = !mesh_key_},
      .children = child_server_.get()};
}

/// From any data thread; on the last, which is the first only where there is no other.
void NodeAgent::inquire(const std::string& repository, const registry::Digest& digest,
                        bool manifest) {
  const auto thread = threads_.size() - 1;
  asio::post(threads_.at(thread), [this, thread, repository, digest, manifest] {
    workers_[thread]->ask_as_anybody(repository, digest, manifest);
  });
}

/// Only in a closed mesh: who coordinates and who fetches must be members that have proven who they
/// are, and private content goes to such alone.
std::unique_ptr<herd::Herds> NodeAgent::make_herds() {
  if (!config_.herd || !mesh_key_ || config_.herd_spool_bytes == 0) return nullptr;
  herd::HerdsOptions options;
  options.spools.bytes = config_.herd_spool_bytes;
  options.folder = config_.state_dir;
  options.small = config_.herd_small;
  options.zone = config_.zone;
  options.upload_limit = config_.herd_upload_limit;
  // An origin that falls silent is given up by the herd, then by a member whose herd does nothing,
  // at last by the client itself.
  options.member.first_byte = 6s;  // below HerdsOptions::advice
  options.member.origin_stall = config_.stall_timeout;
  options.member.starved = config_.stall_timeout + 5s;
  options.stall = config_.stall_timeout + 10s;
  return std::make_unique<herd::Herds>(herd::Herds::Parts{.control = control_,
                                                          .clock = clock_,
                                                          .self = to_herd(node_.peer_id()),
                                                          .mesh = herd_mesh_,
                                                          .neighbours = herd_mesh_,
                                                          .notary = herd_notary_,
                                                          .finished = finished_spools_,
                                                          .store = store_,
                                                          .conduct = conduct_},
                                       std::move(options));
}

void NodeAgent::store_changed(containerd::Changes changes) {
  for (const auto& key : changes.added) {
    const auto digest = registry::Digest::parse(key);
    if (!digest) continue;
    finished_spools_.committed(*digest);
    if (herds_) herds_->committed(*digest);
  }
  std::erase_if(changes.added,
                [this](const std::string& key) { return !policy_.may_announce(key); });
  advertiser_.notify({std::move(changes.added), std::move(changes.removed)});
}

}  // namespace hagring::agent
