// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/interception.hpp"

#include <unistd.h>

#include "userspace/base/log.hpp"
#include "userspace/redirect/error.hpp"
#include "userspace/redirect/process.hpp"

namespace hagring::redirect {

Interception::Interception(Redirector& redirector, Clock& clock, ClientWatchOptions options,
                           std::function<void(const InterceptionState&)> changed)
    : redirector_(redirector),
      proc_(options.proc),
      watch_(clock, *this, std::move(options)),
      changed_(std::move(changed)) {}

awaitable<void> Interception::run() {
  co_await watch_.run();
  let_go();
  set_state({});
}

void Interception::client_present(const WatchedClient& client) {
  const auto done = intercept(client);
  if (!done) let_go();
  set_state({client, done.has_value(), done ? error_code() : done.error()});
}

void Interception::client_gone(const WatchedClient&) {
  let_go();
  set_state({});
}

void Interception::client_missing(const error_code& reason) {
  set_state({std::nullopt, false, reason});
}

Result<void> Interception::intercept(const WatchedClient& client) {
  TRY(const auto tgid, tgid_for_bpf(client));
  if (tgid_ && *tgid_ != tgid) redirector_.remove_client(*tgid_);
  tgid_ = tgid;
  if (!attachment_ || attachment_->cgroup_path() != client.cgroup.path || !attachment_->alive()) {
    // The new one before the old one goes: no connect falls between.
    TRY(auto attachment, redirector_.attach(client.cgroup.path));
    attachment_ = std::move(attachment);
  }
  Client entry;
  entry.tgid = tgid;
  entry.pid = static_cast<std::uint32_t>(client.pid);
  entry.comm = client.comm;
  entry.cgroup = client.cgroup.path;
  entry.cgroup_id = client.cgroup.id;
  return redirector_.set_client(entry);
}

/// BPF sees the pids of the initial namespace. Elsewhere (kind) ours are other numbers, and all
/// of the client's cgroup has to be taken: which must not hold the agent itself, whose own
/// connections to registries would come back to it for ever.
Result<std::uint32_t> Interception::tgid_for_bpf(const WatchedClient& client) const {
  if (in_initial_pid_namespace()) return static_cast<std::uint32_t>(client.pid);
  TRY(const auto own, find_cgroup(::getpid(), proc_));
  if (own.id == client.cgroup.id || own.path.starts_with(client.cgroup.path + "/")) {
    return Errc::agent_in_cgroup;
  }
  return Client::kAnyTask;
}

void Interception::let_go() {
  if (tgid_) redirector_.remove_client(*tgid_);
  tgid_.reset();
  attachment_.reset();
}

void Interception::set_state(InterceptionState state) {
  if (state == state_) return;
  state_ = std::move(state);
  const auto pid = state_.client ? state_.client->pid : 0;
  if (state_.attached) {
    log::info("redirect", "intercepting {} (pid {}) in cgroup {}", state_.client->comm, pid,
              state_.client->cgroup.path);
  } else if (state_.client) {
    log::warning("redirect", "not intercepting {} (pid {}): cgroup {}: {}", state_.client->comm,
                 pid, state_.client->cgroup.path, state_.problem.message());
  } else if (state_.problem) {
    log::warning("redirect", "no client to intercept: {}", state_.problem.message());
  }
  if (changed_) changed_(state_);
}

}  // namespace hagring::redirect
