// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "registry/containerd/discard_setting.hpp"
#include "registry/policy.hpp"
#include "userspace/agent/config.hpp"
#include "userspace/base/asio.hpp"
#include "userspace/proxy/hosts_folder.hpp"
#include "userspace/proxy/trust.hpp"

namespace hagring::agent {

/// The namespace of the probe that proves the files of HostsTrust: it has one, too. That of the
/// other probe has none, so each shows what it should.
inline constexpr const char* kHostsProbe = "192.0.2.1:443";

/// What a client has proven to trust by: the directory of its `config_path` and the registries
/// whose certificates it takes.
struct TrustedFiles {
  std::string directory{};
  std::set<std::string> registries{};

  bool operator==(const TrustedFiles&) const = default;
};

/// Trust by files in the runtime's own directory of registries (`config_path`), which it reads at
/// each pull: no restart is needed. Registries with a `*` in their name can't be named there. Lives
/// on the control thread; terminates() is for any.
class HostsTrust {
 public:
  HostsTrust(const Config& config, const registry::Policy& policy, const Clock& clock);

  /// Finds out where the runtime looks.
  awaitable<void> find(containerd::RuntimeProcess process);
  /// Puts the CA there, and has it proven when that has changed something. What is in the way is
  /// logged once.
  void place(const std::string& pem);
  /// The client that there is now, with when it started; nothing: there is none.
  void client_is(std::optional<std::pair<pid_t, WallTime>> client);
  /// The client has refused a certificate for `registry`, which it isn't shown again until our file
  /// has been put back or another client is there.
  void refused(const std::string& registry);

  /// What the client has proven to trust by; nothing: it hasn't.
  std::optional<TrustedFiles> proven_by() const;
  /// Another agent with this CA, whose place we take, has had it proven by the present client: that
  /// holds as soon as it is seen that the same files are still there.
  void vouched(TrustedFiles files) { vouched_ = std::move(files); }

  /// Whether connections to `registry` may be terminated. Any thread.
  bool terminates(const std::string& registry) const;

  proxy::Trust& trust() { return trust_; }
  bool is_proven() const { return trust_.state() == proxy::TrustState::trusted; }
  /// Whether it may yet turn out that this client trusts by them.
  bool is_pending() const;
  /// How many registries are covered, where and how that is known; or why none is.
  std::string reason() const;

 private:
  void use(proxy::PlacedHosts placed);
  void give_up(std::string why);
  void forget();
  bool accept_vouched(const proxy::PlacedHosts& placed);

  const Config& config_;
  std::vector<std::string> namespaces_;  ///< that can be named, the probe's included
  std::optional<proxy::HostsFolder> folder_;
  std::string why_not_ = "its config_path isn't known yet";
  proxy::Trust trust_;
  std::optional<std::pair<pid_t, WallTime>> client_;
  bool sought_ = false;  ///< where this client looks
  std::set<std::string> refused_;
  std::optional<TrustedFiles> vouched_;  ///< for this client
  mutable std::mutex mutex_;             ///< of what follows
  std::set<std::string> covered_;
};

/// The directory in which an agent with this state directory has put files, so that they are found
/// again without a runtime to ask.
std::optional<proxy::HostsFolder> recorded_hosts(const Config& config);
/// Takes them away, and the record; returns how many there were. Errors: HostsFolder::remove's.
Result<std::size_t> remove_recorded_hosts(const Config& config);
/// The record's name in the state directory.
inline constexpr const char* kHostsRecord = "config_path";

}  // namespace hagring::agent
