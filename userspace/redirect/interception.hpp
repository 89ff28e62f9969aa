// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>

#include "userspace/redirect/client_watch.hpp"
#include "userspace/redirect/redirector.hpp"

namespace hagring::redirect {

/// Whose connections are led to the mirror now, or why nobody's.
struct InterceptionState {
  std::optional<WatchedClient> client;
  bool attached = false;
  error_code problem;  ///< the last thing that failed; none while all is well

  bool operator==(const InterceptionState&) const = default;
};

/// Keeps the hook on the client that a ClientWatch follows: attaches it to its cgroup, names its
/// tgid, does both again when it restarts or its cgroup is made anew.
class Interception final : private ClientWatch::Observer {
 public:
  /// `changed` is called on run()'s executor, whenever state() has changed. References outlive
  /// this object.
  Interception(Redirector& redirector, Clock& clock, ClientWatchOptions options,
               std::function<void(const InterceptionState&)> changed = {});

  /// Intercepts until it is cancelled, then lets go of the client.
  awaitable<void> run();

  const InterceptionState& state() const { return state_; }

 private:
  void client_present(const WatchedClient& client) override;
  void client_gone(const WatchedClient& client) override;
  void client_missing(const error_code& reason) override;

  Result<void> intercept(const WatchedClient& client);
  Result<std::uint32_t> tgid_for_bpf(const WatchedClient& client) const;
  void let_go();
  void set_state(InterceptionState state);

  Redirector& redirector_;
  std::string proc_;
  ClientWatch watch_;
  std::function<void(const InterceptionState&)> changed_;
  InterceptionState state_;
  std::optional<Attachment> attachment_;
  std::optional<std::uint32_t> tgid_;
};

}  // namespace hagring::redirect
