// SPDX-License-Identifier: Apache-2.0
// What the agent answers on its admin socket and on the port for metrics and probes.
#include "userspace/agent/explain_page.hpp"
#include "userspace/agent/log_level_page.hpp"
#include "userspace/agent/lookup_page.hpp"
#include "userspace/agent/node_agent.hpp"
#include "userspace/agent/scrape.hpp"
#include "userspace/agent/status_document.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;

/// Until the heart beats for the first time: identity, store and listeners come before it.
constexpr auto kFirstBeat = 30s;
/// Several heartbeat time-outs: a probe must not kill an agent that the kernel goes around already
/// and that may come back in a moment.
constexpr auto kSilence = 5s;

}  // namespace

Pages NodeAgent::admin_pages() {
  return {{"/status",
           [this](std::string) -> awaitable<PageAnswer> { co_return PageAnswer{200, status()}; }},
          {"/explain", explain_page(policy_, privacy_, store_)},
          {"/lookup", lookup_page(clock_, node_)},
          {"/log-level", [](std::string) -> awaitable<PageAnswer> { co_return log_level_now(); }},
          {"POST /log-level",
           [](std::string level) -> awaitable<PageAnswer> { co_return set_log_level(level); }},
          {"POST /takeover/begin", begin_takeover()},
          {"POST /takeover/finish", finish_takeover()}};
}

Pages NodeAgent::telemetry_pages() {
  const auto plain = "text/plain; charset=utf-8";
  return {{"/metrics",
           [this](std::string) -> awaitable<PageAnswer> {
             co_return PageAnswer{200, metrics_.render(scrape(sources())),
                                  "text/plain; version=0.0.4; charset=utf-8"};
           }},
          {"/livez",
           [this, plain](std::string) -> awaitable<PageAnswer> {
             const auto age = clock_.now() - TimePoint(Duration(last_alive_.load()));
             const bool alive = clock_.now() - started_ < kFirstBeat || age < kSilence;
             co_return alive ? PageAnswer{200, "ok\n", plain}
                             : PageAnswer{503, "a thread of the agent hangs\n", plain};
           }},
          {"/readyz", [this](std::string) -> awaitable<PageAnswer> { co_return ready(); }}};
}

/// Whether what this node's runtime pulls goes through the mirror, as far as that is ours to bring
/// about: other nodes and the runtime's trust aren't waited for.
PageAnswer NodeAgent::ready() const {
  const auto plain = "text/plain; charset=utf-8";
  const auto& state = interception_.state();
  if (stopping_) return {503, "the agent is ending\n", plain};
  if (state.problem) return {503, "containerd: " + state.problem.message() + "\n", plain};
  if (!state.client || !state.attached) return {503, "containerd has not been found\n", plain};
  return {200, "ok\n", plain};
}

std::string NodeAgent::status() const { return make_status(sources()); }

StatusSources NodeAgent::sources() const {
  return {.uptime = clock_.now() - started_,
          .listener = listener_,
          .sessions = session_counters_,
          .trust = trust_,
          .restart = restart_.text(),
          .interception = interception_,
          .redirector = redirector_,
          .egress = egress_,
          .egress_keeper = egress_keeper_,
          .names = names_.stub(),
          .store = store_,
          .layer_limits = {.mode = config_.keep_layers,
                           .budget = config_.keep_layers_bytes,
                           .disk_percent = config_.keep_layers_until},
          .peer_server = peer_server_,
          .mesh = node_.status(),
          .conduct = conduct_,
          .breaker = breaker_,
          .limits = rate_limits_,
          .record = record_,
          .under_way = under_way_,
          .policy = policy_,
          .privacy = privacy_,
          .herds = herds_.get()};
}

}  // namespace hagring::agent
