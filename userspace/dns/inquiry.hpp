// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <vector>

#include "userspace/base/asio.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/dns/message.hpp"

namespace hagring::dns {

enum class Transport { udp, tcp };

/// Why a name server's word doesn't count.
enum class NoAnswer {
  silent,
  unreachable,  ///< no route, nobody listens there, or the connection failed
  serv_fail,
  refused,
  nx_domain,
};
inline constexpr std::size_t kNoAnswers = static_cast<std::size_t>(NoAnswer::nx_domain) + 1;

/// For status: `silent`, `unreachable`, ….
std::string_view to_string(NoAnswer reason);

/// Where a query goes.
struct Plan {
  using Server = asio::ip::tcp::endpoint;

  Transport transport = Transport::udp;
  Server asked{};                ///< whom the client has asked
  std::vector<Server> others{};  ///< whom it would ask next
  bool insistent = false;        ///< SERVFAIL, REFUSED and NXDOMAIN are no answers
  Duration alone{};              ///< how long only `asked` is asked, unless it has failed before
  Duration limit{};              ///< all together
  Duration late{};               ///< since the beginning, an answer may come by run_on()
};

/// One query to a name server and, if that doesn't help, to the others at once, as a client would
/// ask them one after the other. Each is asked from a socket of its own.
class Inquiry {
 public:
  struct Outcome {
    std::optional<Bytes> answer;         ///< byte for byte a server's
    NoAnswer reason = NoAnswer::silent;  ///< of whom the client has asked
    bool own_trouble = false;            ///< a server couldn't be asked for want of a socket here
  };

  /// `message`: the query as it came, at least a header.
  Inquiry(asio::any_io_executor executor, Plan plan, Bytes message);

  /// Asks until there is an answer, nobody is left, the limit has passed or it is cancelled. Once.
  awaitable<Outcome> run();
  /// Whether run() has left servers asked that may be only slow: run_on() or end() must follow.
  bool under_way() const { return tasks_.size() > 0; }
  /// Waits for them until `late`.
  awaitable<Outcome> run_on();
  awaitable<void> end();

 private:
  void ask(const Plan::Server& server);
  awaitable<Result<Bytes>> exchange(Plan::Server server);
  awaitable<Result<Bytes>> exchange_datagrams(asio::ip::udp::endpoint server);
  awaitable<Result<Bytes>> exchange_stream(asio::ip::tcp::endpoint server);
  std::optional<NoAnswer> weigh(const Result<Bytes>& reply) const;
  awaitable<void> wait_until(TimePoint when);

  const Plan plan_;
  const Bytes message_;
  asio::steady_timer changed_;
  TaskGroup tasks_;
  std::size_t active_ = 0;
  TimePoint begun_;
  Outcome outcome_;
};

}  // namespace hagring::dns
