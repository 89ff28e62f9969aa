// SPDX-License-Identifier: Apache-2.0
#include "userspace/dns/stub.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/ip/v6_only.hpp>

#include "userspace/base/closed_first.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/node_ports.hpp"

namespace hagring::dns {
namespace {

using tcp = asio::ip::tcp;
using udp = asio::ip::udp;

/// Datagrams taken at once, before others of the thread get their turn.
constexpr int kBatch = 64;
/// After an error that may stay (no memory, no descriptors).
constexpr auto kPause = std::chrono::milliseconds(100);
/// Of a client's time-out, so that the answer is there before it passes.
constexpr int kPercentOfTimeout = 60;
/// Names whose slow servers are waited for at once, with one query each.
constexpr std::size_t kMaxLate = 64;

error_code bind(udp::socket& socket, const asio::ip::address& address) {
  error_code failed;
  const udp::endpoint where(address, 0);
  socket.open(where.protocol(), failed);
  if (!failed) socket.bind(where, failed);
  if (!failed) failed = close_first(socket);
  if (!failed) socket.non_blocking(true, failed);
  return failed;
}

error_code bind(tcp::acceptor& acceptor, const asio::ip::address& address) {
  error_code failed;
  const tcp::endpoint where(address, 0);
  acceptor.open(where.protocol(), failed);
  if (!failed) acceptor.bind(where, failed);
  if (!failed) acceptor.listen(asio::socket_base::max_listen_connections, failed);
  if (!failed) failed = close_first(acceptor);
  return failed;
}

/// A socket bound to a port of the kernel's choice that isn't a NodePort; those that are, are held
/// meanwhile, so that they aren't offered again.
template <typename Socket>
Result<Socket> bind_outside_node_ports(const asio::any_io_executor& executor,
                                       const asio::ip::address& address) {
  std::vector<Socket> refused;
  for (int attempt = 0; attempt < kNodePortAttempts; ++attempt) {
    Socket socket(executor);
    if (const auto failed = bind(socket, address)) return failed;
    if (!is_node_port(socket.local_endpoint().port())) return socket;
    refused.push_back(std::move(socket));
  }
  return error_code(asio::error::address_in_use);
}

awaitable<Result<void>> read_exactly(ByteStream& stream, MutableBytes into) {
  while (!into.empty()) {
    if (co_await asked_to_stop()) co_return Errc::cancelled;
    CO_TRY(const auto size, co_await stream.read_some(into));
    into = into.subspan(size);
  }
  co_return Result<void>();
}

/// A message as TCP frames it (RFC 1035, 4.2.2). Errors beyond the stream's: Errc::bad_message.
awaitable<Result<Bytes>> read_query(ByteStream& stream) {
  std::array<std::uint8_t, 2> length{};
  CO_CHECK(co_await read_exactly(stream, length));
  Bytes message(static_cast<std::size_t>(length[0] << 8 | length[1]));
  if (message.size() < kHeaderSize || message.size() > kMaxQuery) co_return Errc::bad_message;
  CO_CHECK(co_await read_exactly(stream, message));
  co_return message;
}

awaitable<Result<void>> write_reply(ByteStream& stream, Bytes message) {
  const auto size = static_cast<std::uint16_t>(message.size());
  const std::array<std::uint8_t, 2> length{static_cast<std::uint8_t>(size >> 8),
                                           static_cast<std::uint8_t>(size)};
  message.insert(message.begin(), length.begin(), length.end());
  co_return co_await stream.write(message);
}

/// Counts something as under way.
struct Counted {
  explicit Counted(std::size_t& counter) : count(counter) { ++count; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --count; }
  std::size_t& count;
};

}  // namespace

struct Stub::Door {
  asio::ip::address server;
  udp::socket datagrams;
  tcp::acceptor acceptor;
  bool closed = false;
};

Stub::Stub(asio::any_io_executor executor, Clock& clock, DoubtfulNames& doubtful, Options options,
           Mirrored mirrored)
    : executor_(executor),
      clock_(clock),
      doubtful_(doubtful),
      options_(options),
      mirrored_(std::move(mirrored)),
      rare_log_(clock, "dns"),
      tasks_(std::move(executor), "dns") {}

Stub::~Stub() = default;

Result<Stub::Place> Stub::open(const asio::ip::address& server) {
  asio::ip::address loopback = asio::ip::address_v4::loopback();
  if (server.is_v6()) loopback = asio::ip::address_v6::loopback();
  TRY(auto datagrams, bind_outside_node_ports<udp::socket>(executor_, loopback));
  TRY(auto acceptor, bind_outside_node_ports<tcp::acceptor>(executor_, loopback));
  const auto door = std::make_shared<Door>(server, std::move(datagrams), std::move(acceptor));
  doors_.push_back(door);
  tasks_.spawn([this, door] { return receive_from(door); });
  tasks_.spawn([this, door] { return accept_from(door); });
  return Place{server, door->datagrams.native_handle(), door->acceptor.native_handle()};
}

void Stub::close(const asio::ip::address& server) {
  const auto found = std::find_if(doors_.begin(), doors_.end(),
                                  [&](const auto& door) { return door->server == server; });
  if (found == doors_.end()) return;
  (*found)->closed = true;
  error_code ignored;
  (*found)->datagrams.cancel(ignored);
  (*found)->acceptor.close(ignored);
  doors_.erase(found);
}

std::vector<asio::ip::address> Stub::servers() const {
  std::vector<asio::ip::address> all;
  for (const auto& door : doors_) all.push_back(door->server);
  return all;
}

awaitable<void> Stub::drain() {
  for (const auto& server : servers()) close(server);
  tasks_.cancel();
  co_await tasks_.drain();
}

awaitable<void> Stub::receive_from(DoorHandle door) {
  while (!door->closed && !co_await asked_to_stop()) {
    auto [error] = co_await door->datagrams.async_wait(udp::socket::wait_read, kTuple);
    if (door->closed || is_cancelled(error)) co_return;
    if (error) {
      co_await clock_.sleep_for(kPause);
    } else {
      take_datagrams(door);
    }
  }
}

void Stub::take_datagrams(const DoorHandle& door) {
  std::array<std::uint8_t, kMaxQuery + 1> buffer;
  for (int i = 0; i < kBatch; ++i) {
    udp::endpoint client;
    error_code failed;
    const auto size = door->datagrams.receive_from(asio::buffer(buffer), client, 0, failed);
    if (failed) return;
    ++counters_.queries;
    if (size < kHeaderSize || size > kMaxQuery) {
      ++counters_.dropped;
      continue;
    }
    error_code ignored;  // the client may have gone
    Bytes message(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size));
    const auto query = parse_query(message);
    if (!has_room_for(query)) {
      ++counters_.dropped;
      // It goes on to its next server at once.
      if (!query) continue;
      door->datagrams.send_to(asio::buffer(make_failure(message, *query)), client, 0, ignored);
      continue;
    }
    tasks_.spawn([this, door, client, message = std::move(message)]() mutable -> awaitable<void> {
      const Counted counted(queries_);
      const auto reply = co_await reply_to(door->server, Transport::udp, std::move(message));
      error_code gone;
      if (reply) door->datagrams.send_to(asio::buffer(*reply), client, 0, gone);
    });
  }
}

/// Threat: whoever is on the node finds the stub's port, and can fill it with queries for dead
/// servers' names. Registries' are few, and are what the stub is there for.
bool Stub::has_room_for(const Result<Query>& query) const {
  if (queries_ >= options_.max_queries) return false;
  const std::size_t for_others = options_.max_queries - options_.max_queries / 4;
  return queries_ < for_others || is_mirrored(query);
}

bool Stub::is_mirrored(const Result<Query>& query) const {
  return query && (query->asks_for(Type::a) || query->asks_for(Type::aaaa)) &&
         mirrored_(query->name);
}

awaitable<void> Stub::accept_from(DoorHandle door) {
  while (!door->closed && !co_await asked_to_stop()) {
    auto [error, client] = co_await door->acceptor.async_accept(kTuple);
    if (door->closed || is_cancelled(error)) co_return;
    if (error) {
      co_await clock_.sleep_for(kPause);
    } else if (connections_ >= options_.max_connections && !make_room_for_connection()) {
      ++counters_.queries;
      ++counters_.dropped;
    } else {
      tasks_.spawn([this, door, socket = std::move(client)]() mutable {
        return serve(door, std::move(socket));
      });
    }
  }
}

bool Stub::make_room_for_connection() {
  if (idle_.empty()) return false;
  idle_.front()->close();
  idle_.pop_front();
  return true;
}

/// One query after the other: no client of ours sends many on one connection. Where a server gives
/// no answer the connection ends, as it would have with the server.
awaitable<void> Stub::serve(DoorHandle door, tcp::socket client) {
  const Counted counted(connections_);
  SocketStream stream(std::move(client));
  stream.set_inactivity_limit(options_.idle_limit);
  while (!co_await asked_to_stop()) {
    idle_.push_back(&stream);
    auto message = co_await read_query(stream);
    std::erase(idle_, &stream);
    if (!message && message.error() != Errc::bad_message) co_return;
    ++counters_.queries;
    if (!message) {
      ++counters_.dropped;
      co_return;
    }
    auto reply = co_await reply_to(door->server, Transport::tcp, *std::move(message));
    if (!reply) co_return;
    if (!co_await write_reply(stream, *std::move(reply))) co_return;
  }
}

Plan Stub::make_plan(const asio::ip::address& server, Transport transport, bool insistent) const {
  Plan plan{.transport = transport,
            .asked = {server, options_.port},
            .others = {},
            .insistent = insistent,
            .alone = {},
            // Its own time-out is what ends a client's wait; it may take an answer a little later.
            .limit = 2 * client_timeout_,
            .late = {}};
  if (!insistent) return plan;
  for (const auto& door : doors_) {
    if (door->server != server) plan.others.emplace_back(door->server, options_.port);
  }
  plan.limit = std::min(options_.patience, client_timeout_ * kPercentOfTimeout / 100);
  plan.alone = plan.limit / 2;
  plan.late = client_timeout_;
  return plan;
}

/// An answer of ours has gone out for `name`; the server's own would remove the doubt.
void Stub::wait_longer(std::unique_ptr<Inquiry> inquiry, std::string name) {
  tasks_.spawn([this, inquiry = std::move(inquiry), name = std::move(name)]() -> awaitable<void> {
    if (late_.size() >= kMaxLate || !late_.insert(name).second) {
      co_await inquiry->end();
      co_return;
    }
    const auto outcome = co_await inquiry->run_on();
    late_.erase(name);
    if (outcome.answer) doubtful_.remove(name);
  });
}

awaitable<std::optional<Bytes>> Stub::reply_to(asio::ip::address server, Transport transport,
                                               Bytes message) {
  const auto query = parse_query(message);
  const bool mirrored = is_mirrored(query);
  auto inquiry =
      std::make_unique<Inquiry>(executor_, make_plan(server, transport, mirrored), message);
  auto outcome = co_await inquiry->run();
  if (inquiry->under_way()) wait_longer(std::move(inquiry), query->name);
  if (outcome.answer) {
    ++counters_.passed_on;
    if (mirrored) doubtful_.remove(query->name);
    co_return std::move(outcome.answer);
  }
  if (co_await asked_to_stop()) {
    ++counters_.dropped;
    co_return std::nullopt;
  }
  if (outcome.own_trouble) {
    // Nothing is known of the servers: the client asks again.
    ++counters_.unanswered;
    rare_log_.line(log::Level::warning, "own trouble",
                   "a query couldn't be passed on: no descriptor, memory or port was free");
    co_return std::nullopt;
  }
  if (mirrored) {
    ++counters_.invented[static_cast<std::size_t>(outcome.reason)];
    // A slow server answers our own lookup as slowly.
    doubtful_.add(query->name, outcome.reason == NoAnswer::silent ? std::optional(client_timeout_)
                                                                  : std::nullopt);
    log::debug("dns", "{} doesn't resolve at {} ({}): answered by us", query->name,
               server.to_string(), to_string(outcome.reason));
    co_return make_answer(message, *query, kInventedAddress);
  }
  // A client by UDP would have had an ICMP error and gone on to its next server at once. We can't
  // send one (that takes CAP_NET_RAW); a failure without a record has the same effect.
  if (query && transport == Transport::udp && outcome.reason == NoAnswer::unreachable) {
    ++counters_.told_unreachable;
    co_return make_failure(message, *query);
  }
  ++counters_.unanswered;
  co_return std::nullopt;
}

}  // namespace hagring::dns
