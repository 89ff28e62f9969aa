// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/node_trust.hpp"

#include <fmt/core.h>

#include "userspace/agent/start_options.hpp"
#include "userspace/base/log.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;

/// How long the CA may be missing from a directory that the host's tools have made anew. A
/// containerd that starts meanwhile doesn't trust it until it is started again.
constexpr auto kInstallInterval = 5s;
/// How long a new client may wait until it is asked where it looks.
constexpr auto kClientInterval = 500ms;

/// A client that has read its roots learns of a new CA only when it starts again, which is seen.
constexpr proxy::TrustOptions kSuccessorPatience{.first_retry = 10min, .longest_retry = 6h};

}  // namespace

NodeTrust::NodeTrust(const Config& config, const registry::Policy& policy, Clock& clock)
    : installs_(config.install_ca),
      clock_(clock),
      authorities_(authority_options(config, policy), clock),
      store_(trust_store_options(config)),
      trust_(clock),
      hosts_(config, policy, clock),
      successor_trust_(clock, kSuccessorPatience) {}

void NodeTrust::install() {
  if (!installs_) return;
  hosts_.place(authorities_.pem());
  const auto before = store_.installed();
  const auto pem = authorities_.pem();
  if (const auto done = store_.install(pem); !done) return note_failure(done.error().message());
  const bool same = pem == std::exchange(installed_, pem);
  failure_.clear();
  const auto now = store_.installed();
  if (!now || !now->since) return;
  trust_.ca_installed(now->since);
  successor_trust_.ca_installed(now->since);
  if (!same) {
    log::info("trust", "the node's CA is {} (SHA-256 {}{})", now->path.string(),
              authorities_.signing().fingerprint(),
              authorities_.successor() ? ", and its successor" : "");
  } else if (before && before->since != now->since) {
    log::warning("trust", "{} was gone or changed: it is put back", now->path.string());
  }
}

void NodeTrust::note_failure(const std::string& failure) {
  trust_.ca_installed(std::nullopt);
  if (failure == std::exchange(failure_, failure)) return;
  log::warning("trust", "the node's CA can't be put into {}: {}", store_.path(), failure);
}

awaitable<void> NodeTrust::keep_installed(std::function<containerd::RuntimeProcess()> runtime) {
  auto next = clock_.now() + kInstallInterval;
  while (true) {
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
    co_await clock_.sleep_for(kClientInterval);
    const bool is_new = installs_ && client_ && !std::exchange(sought_hosts_, true);
    if (is_new) co_await hosts_.find(runtime());
    if (!is_new && clock_.now() < next) continue;
    next = clock_.now() + kInstallInterval;
    renew();
    install();
  }
}

void NodeTrust::renew() {
  try {
    if (authorities_.renew_if_due()) begin_succession();
  } catch (const StartError& error) {
    note_failure(error.what());
  }
  // Files are read at each pull and have both CAs in them; who knows these only can't lose
  // anything.
  const bool by_hosts_only = hosts_.is_proven() && trust_.state() == proxy::TrustState::refused;
  if (client_ && authorities_.successor() && by_hosts_only) promote(client_->first);
}

awaitable<void> NodeTrust::keep_proving(proxy::Prober& prober, proxy::Prober& hosts) {
  const auto by_present_ca = [this] { authorities_.prove_successor(false); };
  return proxy::keep_proving(
      {{.trust = hosts_.trust(), .chosen = by_present_ca, .prober = &hosts},
       {.trust = trust_,
        .chosen = by_present_ca,
        .logged = [this] { return !hosts_.is_proven() || trust_.terminates(); }},
       {.trust = successor_trust_,
        .chosen = [this] { authorities_.prove_successor(true); },
        .logged = [] { return false; }}},
      prober, clock_);
}

void NodeTrust::begin_succession() {
  if (client_) successor_trust_.client_appeared(client_->first, client_->second);
}

void NodeTrust::client_is(std::optional<std::pair<pid_t, WallTime>> client) {
  if (client == client_) return;
  if (client_) {
    trust_.client_gone(client_->first);
    successor_trust_.client_gone(client_->first);
  }
  client_ = client;
  sought_hosts_ = false;
  hosts_.client_is(client);
  if (!client_) return;
  trust_.client_appeared(client_->first, client_->second);
  if (authorities_.successor()) begin_succession();
}

void NodeTrust::vouched(const std::string& authority, bool everywhere,
                        const std::optional<TrustedFiles>& files) {
  if (!client_ || authority != authorities_.signing().fingerprint()) return;
  if (everywhere) trust_.vouched(client_->first, client_->second);
  if (files) hosts_.vouched(*files);
}

void NodeTrust::probe_seen(pid_t pid, const std::string& nonce) {
  if (hosts_.trust().probe_seen(pid, nonce) || trust_.probe_seen(pid, nonce)) return;
  if (!successor_trust_.probe_seen(pid, nonce)) return;
  promote(pid);
  trust_.proven(pid);
}

void NodeTrust::promote(pid_t pid) {
  authorities_.promote();
  successor_trust_.client_gone(pid);
  install();
}

void NodeTrust::certificate_alert(pid_t pid, const std::string& registry, int alert) {
  if (trust_.terminates()) return trust_.certificate_alert(pid, alert);
  hosts_.refused(registry);
}

bool NodeTrust::restart_would_help() const {
  // Without the means to put files there nobody has looked for another way.
  return installs_ && !hosts_.is_proven() && !hosts_.is_pending() && trust_.restart_would_help();
}

std::string NodeTrust::ca_directory() const {
  return std::filesystem::path(store_.path()).parent_path().string();
}

proxy::TrustState NodeTrust::state() const {
  return hosts_.is_proven() ? proxy::TrustState::trusted : trust_.state();
}

std::string NodeTrust::reason() const {
  if (!client_) return trust_.reason();
  if (trust_.terminates()) {
    return fmt::format("{}, by the host's certificates{}", trust_.reason(),
                       hosts_.is_proven() ? "; also " + hosts_.reason() : "");
  }
  if (!hosts_.is_proven())
    return fmt::format("{}. Without a restart: {}", trust_.reason(), hosts_.reason());
  return fmt::format("containerd (pid {}): {}. For others: {}", client_->first, hosts_.reason(),
                     trust_.reason());
}

}  // namespace hagring::agent
