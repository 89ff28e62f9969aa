// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/node_trust.hpp"

#include "userspace/agent/start_options.hpp"
#include "userspace/base/log.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;

/// How long the CA may be missing from a directory that the host's tools have made anew. A
/// containerd that starts meanwhile doesn't trust it until it is started again.
constexpr auto kInstallInterval = 10s;

/// A client that has read its roots learns of a new CA only when it starts again, which is seen.
constexpr proxy::TrustOptions kSuccessorPatience{.first_retry = 10min, .longest_retry = 6h};

}  // namespace

NodeTrust::NodeTrust(const Config& config, const registry::Policy& policy, Clock& clock)
    : installs_(config.install_ca),
      clock_(clock),
      authorities_(authority_options(config, policy), clock),
      store_(trust_store_options(config)),
      trust_(clock),
      successor_trust_(clock, kSuccessorPatience) {}

void NodeTrust::install() {
  if (!installs_) return;
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

awaitable<void> NodeTrust::keep_installed() {
  while (true) {
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
    co_await clock_.sleep_for(kInstallInterval);
    try {
      if (authorities_.renew_if_due()) begin_succession();
    } catch (const StartError& error) {
      note_failure(error.what());
      continue;
    }
    install();
  }
}

awaitable<void> NodeTrust::keep_proving(proxy::Prober& prober) {
  return proxy::keep_proving(
      {{.trust = trust_, .chosen = [this] { authorities_.prove_successor(false); }},
       {.trust = successor_trust_,
        .chosen = [this] { authorities_.prove_successor(true); },
        .logged = false}},
      prober, clock_);
}

void NodeTrust::begin_succession() {
  if (client_) successor_trust_.client_appeared(client_->first, client_->second);
}

void NodeTrust::client_is(std::optional<std::pair<pid_t, WallTime>> client) {
  if (client_ && !client) {
    trust_.client_gone(client_->first);
    successor_trust_.client_gone(client_->first);
  }
  client_ = client;
  if (!client_) return;
  trust_.client_appeared(client_->first, client_->second);
  if (authorities_.successor()) begin_succession();
}

void NodeTrust::probe_seen(pid_t pid, const std::string& nonce) {
  if (trust_.probe_seen(pid, nonce) || !successor_trust_.probe_seen(pid, nonce)) return;
  authorities_.promote();
  successor_trust_.client_gone(pid);
  trust_.proven(pid);
  install();
}

void NodeTrust::certificate_alert(pid_t pid, int alert) { trust_.certificate_alert(pid, alert); }

}  // namespace hagring::agent
