// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/racing_dialer.hpp"

#include <netinet/tcp.h>

#include <algorithm>
#include <boost/asio/ip/address_v6.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>

#include "userspace/base/address.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring {
namespace {

using tcp = asio::ip::tcp;

/// ::ffff:a.b.c.d as a.b.c.d, so that one host isn't tried twice and `refuses` can't be passed by.
tcp::endpoint unmapped(const tcp::endpoint& endpoint) {
  return {hagring::unmapped(endpoint.address()), endpoint.port()};
}

/// Families in turn, beginning with the one that is not `last`'s (RFC 8305, section 4).
std::vector<tcp::endpoint> alternate(const std::vector<tcp::endpoint>& endpoints,
                                     bool last_was_v6) {
  std::vector<tcp::endpoint> v4, v6, mixed;
  for (const auto& endpoint : endpoints) {
    (endpoint.address().is_v6() ? v6 : v4).push_back(endpoint);
  }
  auto next4 = v4.begin();
  auto next6 = v6.begin();
  bool take_v6 = !last_was_v6;
  while (next4 != v4.end() || next6 != v6.end()) {
    if (take_v6 ? next6 != v6.end() : next4 == v4.end()) {
      mixed.push_back(*next6++);
    } else {
      mixed.push_back(*next4++);
    }
    take_v6 = !take_v6;
  }
  return mixed;
}

/// One dial: the attempts under way and the addresses still to try.
class Race {
 public:
  Race(asio::any_io_executor executor, Resolver& resolver, Connector& connector,
       const RacingDialer::Options& options, Destination destination)
      : resolver_(resolver),
        connector_(connector),
        options_(options),
        destination_(std::move(destination)),
        changed_(executor),
        tasks_(executor, "dial") {}

  awaitable<Result<tcp::socket>> run() {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await race();
    tasks_.cancel();
    co_await tasks_.drain();
    if (winner_) co_return std::move(*winner_);
    co_return error_;
  }

 private:
  using Time = std::chrono::steady_clock;

  awaitable<void> race() {
    begun_ = Time::now();
    next_attempt_ = begun_;
    if (destination_.preferred) consider({*destination_.preferred});
    while (!winner_) {
      if (Time::now() >= begun_ + options_.deadline) {
        error_ = Errc::timed_out;
        co_return;
      }
      news_ = false;
      if (!step()) co_return;
      if (news_) continue;  // a task ended while it was being started
      changed_.expires_at(wake_at());
      if (!co_await asked_to_stop()) co_await changed_.async_wait(kTuple);
      if (co_await asked_to_stop()) {
        // Whoever connected in the same moment is closed with the race.
        winner_.reset();
        error_ = Errc::cancelled;
        co_return;
      }
    }
  }

  /// Starts what is due; false when nothing is left to try.
  bool step() {
    const auto now = Time::now();
    while (!winner_ && !waiting_.empty() && (active_ == 0 || now >= next_attempt_)) {
      const bool is_preferred = tried_++ == 0 && destination_.preferred;
      next_attempt_ = now + (is_preferred ? options_.head_start : options_.attempt_delay);
      attempt(waiting_.front());
      waiting_.pop_front();
    }
    if (winner_) return true;
    if (may_resolve() && (active_ == 0 || now >= begun_ + options_.resolve_after)) resolve();
    return active_ > 0 || resolving_ || !waiting_.empty();
  }

  TimePoint wake_at() const {
    auto when = begun_ + options_.deadline;
    if (!waiting_.empty()) when = std::min(when, next_attempt_);
    if (may_resolve()) when = std::min(when, begun_ + options_.resolve_after);
    return when;
  }

  void notify() {
    news_ = true;
    changed_.cancel();
  }

  bool may_resolve() const { return !resolved_ && !destination_.host.empty(); }

  void resolve() {
    resolved_ = resolving_ = true;
    tasks_.spawn([this]() -> awaitable<void> {
      auto addresses = co_await resolver_.resolve(destination_.host);
      resolving_ = false;
      if (addresses) {
        std::vector<tcp::endpoint> endpoints;
        for (const auto& address : *addresses) endpoints.emplace_back(address, destination_.port);
        consider(endpoints);
      } else if (tried_ == 0 && !is_cancelled(addresses.error())) {
        error_ = addresses.error();
      }
      notify();
    });
  }

  /// Queues those addresses that are new and may be dialled.
  void consider(const std::vector<tcp::endpoint>& endpoints) {
    std::vector<tcp::endpoint> fresh;
    for (const auto& given : endpoints) {
      const auto endpoint = unmapped(given);
      if (seen_.size() >= options_.max_addresses) break;
      if (std::find(seen_.begin(), seen_.end(), endpoint) != seen_.end()) continue;
      seen_.push_back(endpoint);
      if (endpoint.address().is_unspecified() || endpoint.port() == 0 ||
          (options_.refuses && options_.refuses(endpoint))) {
        error_ = Errc::unavailable;
      } else {
        fresh.push_back(endpoint);
      }
    }
    if (seen_.empty()) return;
    // Without an attempt yet the resolver's first choice goes first.
    const bool last_was_v6 =
        tried_ > 0 ? last_was_v6_ : !fresh.empty() && fresh.front().address().is_v4();
    for (const auto& endpoint : alternate(fresh, last_was_v6)) waiting_.push_back(endpoint);
  }

  void attempt(const tcp::endpoint& endpoint) {
    ++active_;
    last_was_v6_ = endpoint.address().is_v6();
    tasks_.spawn([this, endpoint]() -> awaitable<void> {
      auto socket = co_await connector_.connect(endpoint);
      --active_;
      if (!socket) {
        if (!is_cancelled(socket.error())) error_ = socket.error();
        next_attempt_ = Time::now();
      } else if (!winner_ && !is_self_connect(*socket)) {
        winner_ = std::move(*socket);
      }
      notify();
    });
  }

  /// A port of the ephemeral range that nobody listens on may connect to itself (simultaneous
  /// open, RFC 9293, section 3.5).
  bool is_self_connect(const tcp::socket& socket) {
    error_code failed;
    const auto remote = socket.remote_endpoint(failed);
    if (failed || remote != socket.local_endpoint(failed)) return false;
    error_ = asio::error::connection_refused;
    return true;
  }

  Resolver& resolver_;
  Connector& connector_;
  const RacingDialer::Options& options_;
  const Destination destination_;
  asio::steady_timer changed_;
  TaskGroup tasks_;
  std::deque<tcp::endpoint> waiting_;
  std::vector<tcp::endpoint> seen_;
  std::size_t tried_ = 0;
  std::size_t active_ = 0;
  bool last_was_v6_ = false;
  bool resolved_ = false;
  bool resolving_ = false;
  bool news_ = false;  ///< something ended since the last step
  TimePoint begun_;
  TimePoint next_attempt_;
  std::optional<tcp::socket> winner_;
  error_code error_ = Errc::not_found;
};

}  // namespace

void set_connection_options(tcp::socket& socket) {
  // First probe after 60 s, then six, 10 s apart.
  using Idle = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>;
  using Interval = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>;
  using Count = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPCNT>;
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  socket.set_option(Idle(60), ignored);
  socket.set_option(Interval(10), ignored);
  socket.set_option(Count(6), ignored);
}

awaitable<Result<tcp::socket>> SystemConnector::connect(tcp::endpoint to) {
  tcp::socket socket(co_await asio::this_coro::executor);
  error_code error;
  if (socket.open(to.protocol(), error); error) co_return error;
  set_connection_options(socket);
  auto [failed] = co_await socket.async_connect(to, kTuple);
  if (is_cancelled(failed)) co_return Errc::cancelled;
  if (failed) co_return failed;
  co_return std::move(socket);
}

RacingDialer::RacingDialer(Resolver& resolver, Connector& connector, Options options)
    : resolver_(resolver), connector_(connector), options_(std::move(options)) {}

awaitable<Result<tcp::socket>> RacingDialer::dial(Destination destination) {
  Race race(co_await asio::this_coro::executor, resolver_, connector_, options_,
            std::move(destination));
  co_return co_await race.run();
}

}  // namespace hagring
