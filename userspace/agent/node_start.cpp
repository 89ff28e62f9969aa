// SPDX-License-Identifier: Apache-2.0
// The order of a start: what a client's first connection needs, the redirection, all else.
#include <boost/asio/post.hpp>

#include "userspace/agent/idle_trim.hpp"
#include "userspace/agent/node_agent.hpp"
#include "userspace/agent/setting_value.hpp"
#include "userspace/base/log.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;

/// For the heart to begin to beat, before all else goes on without; as long as a thread may take to
/// answer (proxy::Heartbeat).
constexpr auto kFirstBeatLimit = 300ms;

}  // namespace

void NodeAgent::start() {
  // What can fail comes first, while there is nothing to stop yet.
  peer_server_.bind();
  node_.bind();
  redirector_.finish_loading();
  if (const auto set = redirector_.set_listeners(listener_.fd_v4(), listener_.fd_v6()); !set) {
    throw StartError("the mirror's listeners can't be made known to the kernel: " +
                     set.error().message());
  }
  trust_.install();
  store_.find_socket();
  listener_.start();
  spawn_on_data_threads();
  if (!predecessor_) admin_.start();
  begun_.expires_after(kFirstBeatLimit);
  control_tasks_.spawn([this] { return start_the_rest(); });
}

/// What a client's first connection doesn't need: gRPC, say, which takes some milliseconds, or the
/// DHT's records.
awaitable<void> NodeAgent::start_the_rest() {
  co_await begun_.async_wait(kTuple);
  if (stopping_) co_return;
  node_.start();
  if (herds_) herds_->start();
  peer_server_.start();
  store_.start();
  if (telemetry_) telemetry_->start();
  control_tasks_.spawn([this] { return advertiser_.run(); });
  control_tasks_.spawn([this] { return privacy_keeper_.run(); });
  control_tasks_.spawn([this] { return trim_when_idle(clock_); });
  control_tasks_.spawn(
      [this] { return trust_.keep_installed([this] { return runtime_process(); }); });
  log::info("agent", "mirror at {} and {}, peers served at {}",
            write_endpoint(listener_.endpoint_v4()), write_endpoint(listener_.endpoint_v6()),
            write_endpoint(peer_server_.endpoint()));
  log::info("agent", "node {} of {}, at {}", node_.peer_id().to_string(),
            mesh_key_ ? "a closed mesh" : "an open mesh (--spegel-compat)",
            write_endpoint(node_.endpoint()));
}

void NodeAgent::spawn_on_data_threads() {
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    asio::post(threads_.at(i), [this, i] {
      data_tasks_[i]->spawn([this, i] { return workers_[i]->sweep(); });
      if (i == 0) data_tasks_[i]->spawn([this] { return heartbeat_.run(); });
    });
  }
}

/// On the first data thread.
void NodeAgent::alive() {
  last_alive_ = clock_.now().time_since_epoch().count();
  supervisor_.alive();
}

/// On the first data thread.
void NodeAgent::beat() {
  redirector_.beat();
  if (beaten_.exchange(true)) return;
  // Only now: a client that is found is asked for the probe at once, and the kernel lets that pass
  // by us, to an address where nobody answers, until the heart has begun to beat.
  asio::post(control_, [this] {
    if (stopping_) return;
    interception_tasks_.spawn([this] { return interception_.run(); });
    interception_tasks_.spawn([this] { return egress_keeper_.run(); });
    control_tasks_.spawn([this] { return names_.run(); });
    control_tasks_.spawn([this] { return trust_.keep_proving(prober_, hosts_prober_); });
    control_tasks_.spawn([this] { return restart_.run(); });
    begun_.cancel();
  });
}

bool NodeAgent::is_settled() const {
  const auto& state = interception_.state();
  return beaten_ && (state.attached || state.problem);
}

}  // namespace hagring::agent
