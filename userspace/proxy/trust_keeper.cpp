// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/trust_keeper.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "userspace/base/bytes.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/tls_context.hpp"

namespace hagring::proxy {
namespace {

/// How long a change of the client may go unseen.
constexpr std::chrono::seconds kLongestSleep{1};

/// A tag that can't be guessed: the grammar is [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}.
std::string make_nonce() {
  std::array<unsigned char, 16> random{};
  if (RAND_bytes(random.data(), random.size()) != 1) {
    throw std::runtime_error("no random numbers: " + take_openssl_error());
  }
  return to_hex(random);
}

/// A proof and the state of it that was logged last.
struct Watched {
  Proof proof;
  TrustState shown;
};

/// Logs a state that differs from the one that was `shown` last: not each of many failures.
void log_change(Watched& watched) {
  const auto& trust = watched.proof.trust;
  auto& shown = watched.shown;
  if (watched.proof.logged && !watched.proof.logged()) return;
  if (trust.state() == std::exchange(shown, trust.state())) return;
  if (trust.state() == TrustState::trusted) log::info("trust", "{}", trust.reason());
  if (trust.state() == TrustState::refused) log::warning("trust", "{}", trust.reason());
}

/// The proof whose probe is due first, and when; nothing while none is.
std::pair<Proof*, TimePoint> first_due(std::vector<Watched>& all) {
  std::pair<Proof*, TimePoint> first{nullptr, TimePoint::max()};
  for (auto& watched : all) {
    const auto due = watched.proof.trust.probe_due_at();
    if (due && *due < first.second) first = {&watched.proof, *due};
  }
  return first;
}

}  // namespace

std::string_view probe_nonce(std::string_view path) noexcept {
  if (!path.starts_with(kProbePath)) return {};
  path.remove_prefix(kProbePath.size());
  return path.substr(0, path.find('?'));
}

awaitable<void> keep_proving(std::vector<Proof> proofs, Prober& prober, Clock& clock) {
  const auto stopped = [](asio::cancellation_state state) {
    return state.cancelled() != asio::cancellation_type::none;
  };
  std::vector<Watched> all;
  for (auto& proof : proofs) all.push_back({std::move(proof), proof.trust.state()});
  while (!stopped(co_await asio::this_coro::cancellation_state)) {
    for (auto& watched : all) log_change(watched);
    const auto [proof, due] = first_due(all);
    if (!proof || due > clock.now()) {
      co_await clock.sleep_until(std::min(due, clock.now() + kLongestSleep));
      continue;
    }
    const auto nonce = make_nonce();
    if (proof->chosen) proof->chosen();
    proof->trust.probe_started(nonce);
    const auto error = co_await (proof->prober ? *proof->prober : prober).probe(nonce);
    proof->trust.probe_failed(nonce, error);
  }
}

}  // namespace hagring::proxy
