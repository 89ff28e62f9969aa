// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <functional>
#include <list>
#include <memory>
#include <set>
#include <vector>

#include "userspace/base/asio.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/rare_log.hpp"
#include "userspace/base/result.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/dns/doubtful_names.hpp"
#include "userspace/dns/inquiry.hpp"

namespace hagring::dns {

/// The one address that the stub answers. Of a range that is nobody's (RFC 5737), as the trust
/// probe's 192.0.2.1 is; connections to it are redirected like those to any other.
inline const auto kInventedAddress = asio::ip::make_address_v4("192.0.2.2");

/// What became of the queries that clients sent to the stub. Each ends in one of passed_on,
/// invented, told_unreachable, unanswered, dropped.
struct StubCounters {
  std::uint64_t queries = 0;
  std::uint64_t passed_on = 0;                       ///< a name server's answer, as it was
  std::array<std::uint64_t, kNoAnswers> invented{};  ///< our answers, by why they were needed
  std::uint64_t told_unreachable = 0;  ///< SERVFAIL, as the client would have had an ICMP error
  std::uint64_t unanswered = 0;        ///< nobody answered, nor did we
  std::uint64_t dropped = 0;           ///< no message, or too many at once (told so: SERVFAIL)
};

/// Stands between clients and their name servers: passes queries on to the server that was asked
/// and its answers back, byte for byte. Only where no listed server has an answer for a mirrored
/// registry's name it gives one of its own: an address that the hook redirects. Nothing is kept.
/// Used from one thread.
class Stub {
 public:
  struct Options {
    /// How long servers have for a mirrored name, at most; the one that was asked has the first
    /// half alone. Below a client's own time-out, so that our answer is still in time.
    Duration patience = std::chrono::seconds(2);
    /// By UDP, at once; a quarter of them is kept for mirrored names.
    std::size_t max_queries = 1024;
    /// By TCP; a new one takes the place of that which has waited longest for a query.
    std::size_t max_connections = 64;
    Duration idle_limit = std::chrono::seconds(10);
    std::uint16_t port = 53;  ///< of all servers
  };
  /// Whether `name` (in lower case, without a final dot) may be answered by us now.
  using Mirrored = std::function<bool(const std::string& name)>;
  /// Where a server's stub is: two sockets of one loopback address.
  struct Place {
    asio::ip::address server;
    int udp_fd = -1;
    int tcp_fd = -1;
  };

  /// `doubtful` is told of names that had to be answered by us, and when a server's answer comes
  /// all the same, later than patience but within the client's time-out. References outlive the
  /// stub.
  Stub(asio::any_io_executor executor, Clock& clock, DoubtfulNames& doubtful, Options options,
       Mirrored mirrored);
  /// Drained.
  ~Stub();

  /// Opens a place for queries to `server`. Errors: the system's (no ::1, say).
  Result<Place> open(const asio::ip::address& server);
  /// Takes no more queries for `server`; those under way are still answered.
  void close(const asio::ip::address& server);
  std::vector<asio::ip::address> servers() const;

  /// What clients wait for one answer, as their resolv.conf(5) says.
  void set_client_timeout(Duration timeout) { client_timeout_ = timeout; }

  /// Closes all places, cuts what is under way.
  awaitable<void> drain();

  std::size_t under_way() const { return queries_ + connections_; }
  const StubCounters& counters() const { return counters_; }

 private:
  struct Door;
  /// Shared by `doors_` and the queries under way, which answer from its socket.
  using DoorHandle = std::shared_ptr<Door>;

  awaitable<void> receive_from(DoorHandle door);
  void take_datagrams(const DoorHandle& door);
  bool has_room_for(const Result<Query>& query) const;
  bool is_mirrored(const Result<Query>& query) const;
  awaitable<void> accept_from(DoorHandle door);
  bool make_room_for_connection();
  awaitable<void> serve(DoorHandle door, asio::ip::tcp::socket client);
  awaitable<std::optional<Bytes>> reply_to(asio::ip::address server, Transport transport,
                                           Bytes message);
  void wait_longer(std::unique_ptr<Inquiry> inquiry, std::string name);
  Plan make_plan(const asio::ip::address& server, Transport transport, bool insistent) const;

  asio::any_io_executor executor_;
  Clock& clock_;
  DoubtfulNames& doubtful_;
  const Options options_;
  const Mirrored mirrored_;
  RareLog rare_log_;
  Duration client_timeout_ = std::chrono::seconds(5);
  std::vector<DoorHandle> doors_;
  TaskGroup tasks_;
  std::set<std::string> late_;  ///< names that slow servers may still answer
  std::size_t queries_ = 0;
  std::size_t connections_ = 0;
  std::list<SocketStream*> idle_;  ///< connections that wait for a query, the longest first
  StubCounters counters_;
};

}  // namespace hagring::dns
