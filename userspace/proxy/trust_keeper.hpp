// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "userspace/base/clock.hpp"
#include "userspace/proxy/trust.hpp"

namespace hagring::proxy {

/// Makes a client under way pull from kProbeAddress, by CRI.
class Prober {
 public:
  virtual ~Prober() = default;

  /// Asks the client to pull "192.0.2.1/hagring/probe:<nonce>" and returns the error that it
  /// reports (it always reports one: nothing is there). Ends within a deadline of its own.
  virtual awaitable<std::string> probe(std::string nonce) = 0;
};

/// The path that a client asks for when it pulls the probe begins so; the nonce is what follows.
/// Trust::probe_seen must be posted before such a request is answered, so that it is known when the
/// pull's error is.
inline constexpr std::string_view kProbePath = "/v2/hagring/probe/manifests/";

/// The nonce in a request's path; empty if it isn't a probe's.
std::string_view probe_nonce(std::string_view path) noexcept;

/// A client's trust in one CA, to be proven.
struct Proof {
  Trust& trust;
  /// Called before each probe, whose leaf is to be of this CA.
  std::function<void()> chosen = {};
  /// Whether what becomes of it is worth a line in the log; empty: yes.
  std::function<bool()> logged = {};
  Prober* prober = nullptr;  ///< to be used instead of the common one
};

/// Probes whenever one of `proofs` says that it is due, one probe after the other, until it is
/// cancelled. What is referred to outlives it. Runs on the control thread; a change of the client
/// is seen within a second.
awaitable<void> keep_proving(std::vector<Proof> proofs, Prober& prober, Clock& clock);

}  // namespace hagring::proxy
