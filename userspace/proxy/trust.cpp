// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/trust.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>

namespace hagring::proxy {
namespace {

/// A client's text goes into a status line: not more of it than a person reads.
constexpr std::size_t kMaxErrorText = 400;

std::string clock_time(WallTime when) {
  const auto seconds = std::chrono::system_clock::to_time_t(when);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text;
}

/// Go's crypto/x509 (verify.go, UnknownAuthorityError).
bool says_unknown_authority(std::string_view error) {
  return error.find("unknown authority") != std::string_view::npos;
}

/// CriProbe's words: no handshake was tried, so nothing about the CA or the hook is known.
bool says_no_cri(std::string_view error) {
  return error.find("has no CRI") != std::string_view::npos;
}

}  // namespace

std::string_view to_string(TrustState state) noexcept {
  switch (state) {
    case TrustState::unproven:
      return "unproven";
    case TrustState::proving:
      return "proving";
    case TrustState::trusted:
      return "trusted";
    case TrustState::refused:
      return "refused";
  }
  return "unknown";
}

Trust::Trust(const Clock& clock, TrustOptions options) : clock_(clock), options_(options) {}

void Trust::enter(TrustState state) {
  state_ = state;
  terminates_.store(state == TrustState::trusted, std::memory_order_release);
  if (state != TrustState::proving) nonce_.clear();
}

void Trust::client_appeared(pid_t pid, WallTime started) {
  if (pid_ == pid && started_ == started) return;
  pid_ = pid;
  started_ = started;
  failures_ = 0;
  refusal_.clear();
  due_ = clock_.now();
  enter(TrustState::unproven);
}

void Trust::client_gone(pid_t pid) {
  if (pid_ != pid) return;
  pid_.reset();
  enter(TrustState::unproven);
}

void Trust::ca_installed(std::optional<WallTime> when) {
  if (ca_installed_ == when) return;
  ca_installed_ = when;
  // What failed without it may succeed now.
  if (when && state_ == TrustState::refused) due_ = clock_.now();
}

std::optional<TimePoint> Trust::probe_due_at() const {
  if (!pid_ || state_ == TrustState::proving || state_ == TrustState::trusted) return std::nullopt;
  return due_;
}

void Trust::probe_started(std::string nonce) {
  if (!probe_due_at()) return;
  enter(TrustState::proving);
  nonce_ = std::move(nonce);
}

bool Trust::probe_seen(pid_t pid, std::string_view nonce) {
  // Threat: another process can make such a request; it can't know the nonce, nor be this pid.
  if (state_ != TrustState::proving || pid_ != pid || nonce_.empty() || nonce_ != nonce) {
    return false;
  }
  trusted_since_ = clock_.now();
  enter(TrustState::trusted);
  return true;
}

void Trust::proven(pid_t pid) {
  if (pid_ != pid || state_ == TrustState::trusted) return;
  trusted_since_ = clock_.now();
  enter(TrustState::trusted);
}

void Trust::vouched(pid_t pid, WallTime started) {
  if (pid_ != pid || started_ != started || state_ != TrustState::unproven) return;
  trusted_since_ = clock_.now();
  enter(TrustState::trusted);
}

void Trust::probe_failed(std::string_view nonce, std::string_view error) {
  if (state_ != TrustState::proving || nonce_ != nonce) return;
  refuse(explain(error));
  unknown_authority_ = says_unknown_authority(error);
}

bool Trust::restart_would_help() const {
  return pid_ && state_ == TrustState::refused && unknown_authority_ && ca_installed_ &&
         started_ < *ca_installed_;
}

void Trust::certificate_alert(pid_t pid, int alert) {
  if (pid_ != pid || state_ != TrustState::trusted) return;
  if (clock_.now() - trusted_since_ >= options_.settled_after) failures_ = 0;
  refuse(
      fmt::format("it refused a certificate of ours (TLS alert {}) after it had accepted the "
                  "probe's: see whether the CA is still where it looks",
                  alert));
}

void Trust::refuse(std::string reason) {
  refusal_ = std::move(reason);
  unknown_authority_ = false;
  const unsigned doublings = std::min(failures_++, 30U);
  // Compared before it is multiplied, so that nothing overflows.
  const auto factor = Duration::rep{1} << doublings;
  const auto wait = options_.first_retry > options_.longest_retry / factor
                        ? options_.longest_retry
                        : options_.first_retry * factor;
  due_ = clock_.now() + wait;
  enter(TrustState::refused);
}

std::string Trust::explain(std::string_view error) const {
  auto text = fmt::format("the probe's pull ended with: {}", error.substr(0, kMaxErrorText));
  if (says_no_cri(error)) {
    text += ". Without it nobody can show whether it trusts our CA";
  } else if (!ca_installed_) {
    text += ". Our CA could not be put where it looks";
  } else if (says_unknown_authority(error) && started_ < *ca_installed_) {
    text += fmt::format(
        ". It started at {}, before our CA was put there at {}, and reads its roots only once: "
        "restart it to let it trust the CA",
        clock_time(started_), clock_time(*ca_installed_));
  } else if (says_unknown_authority(error)) {
    text +=
        ". Our CA is there; it may look elsewhere (SSL_CERT_DIR, SSL_CERT_FILE in its "
        "environment) or have read its roots before";
  } else {
    text +=
        ". The probe did not reach us: see whether the hook is attached to its cgroup, and whether "
        "it pulls by a proxy";
  }
  return text;
}

std::string Trust::reason() const {
  if (!pid_) return "no containerd is found; nothing is redirected";
  switch (state_) {
    case TrustState::unproven:
      return fmt::format("containerd (pid {}) has not proven yet that it trusts our CA: spliced",
                         *pid_);
    case TrustState::proving:
      return fmt::format("containerd (pid {}) is being asked to pull the probe: spliced", *pid_);
    case TrustState::trusted:
      return fmt::format("containerd (pid {}) pulled the probe through us: terminated", *pid_);
    case TrustState::refused:
      return fmt::format(
          "containerd (pid {}) is spliced: {}. Next probe in {} s", *pid_, refusal_,
          std::chrono::ceil<std::chrono::seconds>(std::max(due_ - clock_.now(), Duration::zero()))
              .count());
  }
  return {};
}

}  // namespace hagring::proxy
