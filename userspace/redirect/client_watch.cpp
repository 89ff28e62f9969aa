// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/client_watch.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>

#include "userspace/base/deadline.hpp"
#include "userspace/redirect/process.hpp"

namespace hagring::redirect {
namespace {

/// Returns when the process of `pidfd` has ended.
awaitable<Result<void>> process_end(asio::posix::stream_descriptor& pidfd) {
  const auto [error] = co_await pidfd.async_wait(asio::posix::descriptor_base::wait_read, kTuple);
  if (error) co_return error;
  co_return Result<void>();
}

awaitable<bool> was_cancelled() {
  const auto state = co_await asio::this_coro::cancellation_state;
  co_return state.cancelled() != asio::cancellation_type::none;
}

}  // namespace

ClientWatch::ClientWatch(Clock& clock, Observer& observer, ClientWatchOptions options)
    : clock_(clock), observer_(observer), options_(std::move(options)) {}

Result<WatchedClient> ClientWatch::look(const std::string& known_cgroup) const {
  WatchedClient client;
  TRY(client.pid, socket_owner(options_.socket()));
  TRY(client.start_time, process_start_time(client.pid, options_.proc));
  TRY(client.comm, process_comm(client.pid, options_.proc));
  TRY(client.cgroup, find_cgroup(client.pid, options_.proc, known_cgroup));
  return client;
}

Result<ClientWatch::Found> ClientWatch::find() const {
  TRY(const auto pid, socket_owner(options_.socket()));
  TRY(auto pidfd, open_pidfd(pid));
  // The number may have been given to another process before the descriptor was made; that it
  // still owns the socket afterwards shows that the descriptor is the owner's.
  TRY(auto client, look({}));
  if (client.pid != pid) return hagring::Errc::unavailable;
  return Found{std::move(client), std::move(pidfd)};
}

awaitable<void> ClientWatch::run() {
  co_await asio::this_coro::throw_if_cancelled(false);
  for (;;) {
    const auto begun = clock_.now();
    auto found = find();
    if (found) {
      if (!co_await follow(std::move(*found))) co_return;
      // The next owner may listen already. One that ends as soon as it is found may be a dead
      // process whose socket another has inherited: not to be found in a tight loop.
      if (clock_.now() - begun >= options_.search_interval) continue;
    } else {
      observer_.client_missing(found.error());
    }
    co_await clock_.sleep_for(options_.search_interval);
    if (co_await was_cancelled()) co_return;
  }
}

/// Returns false when cancelled, true when the client is gone.
awaitable<bool> ClientWatch::follow(Found found) {
  auto& client = found.client;
  asio::posix::stream_descriptor pidfd(co_await asio::this_coro::executor, found.pidfd.release());
  observer_.client_present(client);
  for (;;) {
    const auto ended =
        co_await with_deadline(clock_, options_.reconcile_interval, process_end(pidfd));
    if (co_await was_cancelled()) co_return false;
    if (ended || ended.error() != hagring::Errc::timed_out) break;
    const auto now = look(client.cgroup.path);
    if (now && (now->pid != client.pid || now->start_time != client.start_time)) break;
    // A socket that is unlinked or full for the moment doesn't end its owner: the pidfd will tell.
    if (now) client = *now;
    observer_.client_present(client);
  }
  observer_.client_gone(client);
  co_return true;
}

}  // namespace hagring::redirect
