// SPDX-License-Identifier: Apache-2.0
// How one agent takes another's place: both are attached for a moment, so that no connect goes by.
#include <boost/asio/post.hpp>
#include <csignal>

#include "userspace/agent/node_agent.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/version.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;

/// For the hook to be attached and the heart to beat.
constexpr auto kReadyLimit = 15s;
/// Within that, to be as good as the predecessor: trusted, connected to the store, keeping layers,
/// in the mesh. It may not come to that: the client may be another by now, or the mesh be gone.
constexpr auto kEqualLimit = 5s;
/// For the predecessor to let go of the admin socket, which it does first.
constexpr auto kLetGoLimit = 10s;
constexpr auto kLook = 20ms;

}  // namespace

PortSharing NodeAgent::claim() {
  if (predecessor_) return PortSharing::allowed;
  admin_.claim();
  return PortSharing::refused;
}

Page NodeAgent::begin_takeover() {
  return [this](std::string) -> awaitable<PageAnswer> {
    const auto& client = interception_.state().client;
    Predecessor self{.pid = ::getpid(),
                     .version = std::string(kVersion),
                     .authority = trust_.authorities().signing().fingerprint(),
                     .connected = store_.state().connected,
                     .keeps_layers = store_.layers().keeping,
                     .nodes = node_.status().table.size()};
    if (client) {
      self.client = client->pid;
      self.client_start = client->start_time;
      self.trusted = trust_.is_trusted();
      self.files = trust_.trusted_files();
    }
    log::info("agent", "a successor asks to take this agent's place");
    co_return PageAnswer{200, write_predecessor(self)};
  };
}

Page NodeAgent::finish_takeover() {
  return [this](std::string) -> awaitable<PageAnswer> {
    log::info("agent", "the successor is in place");
    replaced_ = true;
    // The way that every end begins. Later, so that this answer may still go out.
    asio::post(control_, [] { ::kill(::getpid(), SIGTERM); });
    co_return PageAnswer{200, "{}"};
  };
}

/// What connects now is the predecessor's, whose programs run first; what does when those are
/// detached must find us ready.
bool NodeAgent::can_succeed() const {
  const auto& state = interception_.state();
  const bool attached = state.client && state.attached && !state.problem;
  return beaten_ && (attached || predecessor_->client == 0);
}

/// Why pulls aren't served yet as the predecessor would serve them; empty: they are.
std::string_view NodeAgent::shortfall() const {
  const auto& former = *predecessor_;
  const auto layers = store_.layers();
  if (former.trusted && !trust_.is_trusted()) return "containerd's trust isn't proven";
  if (former.files && !trust_.trusted_files()) return "containerd's trust by files isn't proven";
  if (former.connected && !store_.state().connected) return "containerd's store isn't connected";
  // Unless this agent is told otherwise than that one.
  if (former.keeps_layers && layers.may_keep && !layers.keeping) return "layers aren't kept";
  if (former.nodes > 0 && node_.status().table.empty()) return "no other node is known";
  return {};
}

awaitable<void> NodeAgent::succeed() {
  if (!predecessor_) co_return;
  const auto begin = clock_.now();
  while (!can_succeed() || (!shortfall().empty() && clock_.now() - begin < kEqualLimit)) {
    if (!can_succeed() && clock_.now() - begin >= kReadyLimit) {
      throw StartError(
          "--takeover: this agent couldn't be attached beside the one that runs, which goes on: " +
          ready().body);
    }
    co_await clock_.sleep_for(kLook);
  }
  if (const auto lacks = shortfall(); !lacks.empty()) {
    log::warning("agent", "takes the other agent's place after {} s although {}: pulls go on",
                 std::chrono::seconds(kEqualLimit).count(), lacks);
  }
  co_await dismiss_predecessor(clock_, admin_.path());
  if (!co_await admin_.claim_within(clock_, kLetGoLimit)) {
    throw StartError("--takeover: the agent that runs doesn't let go of " + admin_.path());
  }
  admin_.start();
  log::info("agent", "took the place of the agent with pid {} (hagring {})", predecessor_->pid,
            predecessor_->version);
}

}  // namespace hagring::agent
