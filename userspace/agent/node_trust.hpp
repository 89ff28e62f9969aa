// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "registry/policy.hpp"
#include "userspace/agent/config.hpp"
#include "userspace/agent/hosts_trust.hpp"
#include "userspace/proxy/authorities.hpp"
#include "userspace/proxy/trust.hpp"
#include "userspace/proxy/trust_keeper.hpp"
#include "userspace/proxy/trust_store.hpp"

namespace hagring::agent {

/// How containerd comes to trust this node's CA: the CA and its successor, where they are put, and
/// what has been proven. Lives on the control thread; terminates() and the CAs' signer() are for
/// any.
class NodeTrust {
 public:
  /// Loads or makes the CA. Throws StartError.
  NodeTrust(const Config& config, const registry::Policy& policy, Clock& clock);

  /// Puts the CA where containerd looks, now. What is in the way is logged once.
  void install();

  /// Does so again and again, since some hosts' own tools take it away; gives the CA a successor
  /// when its end is near. `runtime` tells which containerd there is. Until it is cancelled.
  awaitable<void> keep_installed(std::function<containerd::RuntimeProcess()> runtime);
  /// Has the client prove its trust whenever that is due, by two probes: `hosts` pulls from
  /// kHostsProbe. Until it is cancelled.
  awaitable<void> keep_proving(proxy::Prober& prober, proxy::Prober& hosts);

  /// The client that there is now, with when it started; nothing: there is none.
  void client_is(std::optional<std::pair<pid_t, WallTime>> client);
  /// An agent whose CA has this fingerprint has seen the present client trust it: by the host's
  /// certificates if `everywhere`, by files of their own if there are `files`.
  void vouched(const std::string& authority, bool everywhere,
               const std::optional<TrustedFiles>& files);
  std::optional<pid_t> client() const { return trust_.client(); }
  /// Whether it trusts the CA for all registries: the host's certificates have it.
  bool is_trusted() const noexcept { return trust_.terminates(); }
  /// By which files it has proven to trust the CA; nothing: by none.
  std::optional<TrustedFiles> trusted_files() const { return hosts_.proven_by(); }
  /// A probe's request has come through.
  void probe_seen(pid_t pid, const std::string& nonce);
  /// A client has refused a certificate of ours for a server of `registry`.
  void certificate_alert(pid_t pid, const std::string& registry, int alert);

  /// Whether the client's connections to `registry` may be terminated. Any thread.
  bool terminates(const std::string& registry) const {
    return trust_.terminates() || hosts_.terminates(registry);
  }

  /// Whether the client trusts this CA by no way, and would if it were started again.
  bool restart_would_help() const;
  /// Where among the host's certificates the CA is, as the host names it.
  std::string ca_directory() const;

  /// For status: the best that is proven, and a sentence on each way.
  proxy::TrustState state() const;
  std::string reason() const;

  const proxy::Authorities& authorities() const { return authorities_; }

 private:
  void note_failure(const std::string& failure);
  void begin_succession();
  void promote(pid_t pid);
  void renew();

  const bool installs_;
  Clock& clock_;
  proxy::Authorities authorities_;
  proxy::TrustStore store_;
  proxy::Trust trust_;
  HostsTrust hosts_;
  proxy::Trust successor_trust_;  ///< has a client only while there is a successor
  std::optional<std::pair<pid_t, WallTime>> client_;
  std::string failure_;        ///< of the last install, as it was logged
  bool sought_hosts_ = false;  ///< of this client
  std::string installed_;      ///< PEM that was put there last
};

}  // namespace hagring::agent
