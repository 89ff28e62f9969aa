// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <atomic>
#include <optional>
#include <string>
#include <string_view>

#include "userspace/base/clock.hpp"

namespace hagring::proxy {

enum class TrustState {
  unproven,  ///< nothing is known: spliced
  proving,   ///< a probe is under way: spliced but for the probe itself
  trusted,   ///< a probe came through: terminated
  refused,   ///< a probe failed or the client sent a certificate alert: spliced, tried again later
};

/// "unproven", "proving", … for status.
std::string_view to_string(TrustState state) noexcept;

struct TrustOptions {
  /// The wait after a first failure; it doubles with each further one up to the longest.
  Duration first_retry = std::chrono::seconds(5);
  Duration longest_retry = std::chrono::minutes(10);
  /// Trust that lasted so long clears the count of failures. Sooner, a client that trusts the probe
  /// and refuses other connections would break one pull per probe.
  Duration settled_after = std::chrono::minutes(30);
};

/// Whether one containerd trusts the node's CA: proven by a probe pull that came through, never
/// guessed. A state machine without I/O, used on the control thread; only terminates() may be read
/// on any thread.
///
/// A process that isn't the current client (it was replaced meanwhile) changes nothing.
class Trust {
 public:
  explicit Trust(const Clock& clock, TrustOptions options = {});

  /// A client was found, or another in the place of the last. `started` is the process's start
  /// time: it explains a failure and decides nothing.
  void client_appeared(pid_t pid, WallTime started);
  void client_gone(pid_t pid);
  /// When our CA was put where the client looks (explains failures); nullopt: it isn't there.
  void ca_installed(std::optional<WallTime> when);

  /// When a probe should be made: the past means now; nullopt while there is no client, one is
  /// under way, or the client is trusted.
  std::optional<TimePoint> probe_due_at() const;
  /// A probe of `nonce` begins. Only when probe_due_at() says so.
  void probe_started(std::string nonce);
  /// The handshake came through and the client asked for `nonce`; what the pull then says doesn't
  /// matter. False: it was none that is under way with this client.
  bool probe_seen(pid_t pid, std::string_view nonce);
  /// Another agent with this CA, whose place we take, had proven it of this very process.
  void vouched(pid_t pid, WallTime started);
  /// The probe's pull ended, with this error, and it hasn't been seen (if it has: no effect).
  void probe_failed(std::string_view nonce, std::string_view error);
  /// It has shown by another probe that it trusts what signs by now.
  void proven(pid_t pid);
  /// A connection of this client that we terminated ended with a certificate alert.
  void certificate_alert(pid_t pid, int alert);

  /// Whether the client's connections may be terminated. Any thread.
  bool terminates() const noexcept { return terminates_.load(std::memory_order_acquire); }

  TrustState state() const { return state_; }
  std::optional<pid_t> client() const { return pid_; }
  /// Whether the last probe was refused by a client that had started, and read its roots, before
  /// our CA was put there: started again it would trust us.
  bool restart_would_help() const;
  /// What the state is and why, as a sentence for `hagring status`.
  std::string reason() const;

 private:
  void enter(TrustState state);
  void refuse(std::string reason);
  std::string explain(std::string_view error) const;

  const Clock& clock_;
  TrustOptions options_;
  std::atomic<bool> terminates_{false};
  TrustState state_ = TrustState::unproven;
  std::optional<pid_t> pid_;
  WallTime started_;
  std::optional<WallTime> ca_installed_;
  std::string nonce_;
  std::string refusal_;
  bool unknown_authority_ = false;  ///< so the last probe was refused
  unsigned failures_ = 0;
  TimePoint due_{};
  TimePoint trusted_since_{};
};

}  // namespace hagring::proxy
