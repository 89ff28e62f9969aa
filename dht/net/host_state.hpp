// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>

#include "dht/net/connection_table.hpp"
#include "dht/net/host.hpp"
#include "dht/net/identify.hpp"
#include "dht/net/peer_dials.hpp"
#include "dht/net/signal.hpp"
#include "dht/net/upgrader.hpp"
#include "userspace/base/rare_log.hpp"

namespace hagring::dht {

/// What is behind a Host.
struct Host::State {
  using Entry = ConnectionTable::Entry;
  using Direction = Connection::Direction;
  using tcp = asio::ip::tcp;

  State(asio::any_io_executor executor, Clock& clock, const Identity& identity, Dialer& dialer,
        HostOptions options);

  /// Counts a caller of open() or connect(), for whom stop() waits.
  class Caller {
   public:
    explicit Caller(State& state) : state_(state) { ++state_.callers; }
    Caller(const Caller&) = delete;
    Caller& operator=(const Caller&) = delete;
    ~Caller() {
      if (--state_.callers == 0) state_.callers_gone.wake();
    }

   private:
    State& state_;
  };

  // host_listen.cpp
  void bind();
  void start();
  awaitable<void> accept_all();
  void admit(tcp::socket socket);
  /// Ends the handshake that holds this place, for a newcomer.
  void displace(std::uint64_t slot);
  awaitable<void> upgrade_inbound(tcp::socket socket, ConnectionSlots::Slot slot,
                                  Connection::Ends ends);

  // host_dial.cpp
  awaitable<Result<Entry>> reach(PeerId peer, std::vector<Multiaddr> addresses);
  /// Connects to one address, and keeps the connection.
  awaitable<Result<Entry>> dial(tcp::endpoint address, std::optional<PeerId> expected);
  /// The same as a task of the host's, which stop() ends.
  awaitable<Result<Entry>> dial_as_task(tcp::endpoint address, std::optional<PeerId> expected);
  awaitable<Result<tcp::socket>> dial_socket(tcp::endpoint address);
  awaitable<Result<Entry>> upgrade_outbound(tcp::socket socket, tcp::endpoint address,
                                            std::optional<PeerId> expected);
  awaitable<Result<std::unique_ptr<ByteStream>>> open_on(Entry entry, std::string protocol);
  Entry connection_to(const tcp::endpoint& address, const std::optional<PeerId>& expected) const;
  awaitable<Result<void>> wait_until_identified(Entry entry);

  // host_connections.cpp
  /// Takes a connection among the others, or says which limit forbids it.
  Result<Entry> adopt(SecureConnection secure, Direction direction, Connection::Ends ends,
                      std::optional<ConnectionSlots::Slot> slot);
  bool make_room(const PeerId& peer, Direction direction);
  void doubt_connections_with(const PeerId& peer);
  bool trim(Duration rest, const PeerId* peer, bool inbound_only);
  awaitable<void> run(Entry entry);
  void refuse(std::string_view kind, std::string_view text);
  YamuxOptions yamux_options() const;

  // host_streams.cpp
  awaitable<void> serve_stream(Entry entry, std::unique_ptr<ByteStream> stream);
  awaitable<void> serve_protocol(Entry entry, std::unique_ptr<ByteStream> stream,
                                 std::string protocol);
  awaitable<void> serve_ping(Entry entry, std::unique_ptr<ByteStream> stream);

  // host_identify.cpp
  awaitable<void> identify(Entry entry);
  awaitable<void> take_push(Entry entry, std::unique_ptr<ByteStream> stream);
  Result<void> learn(const Entry& entry, IdentifyMessage said, bool is_push);
  IdentifyMessage about_us(const Connection& connection) const;
  awaitable<void> push_changes();
  awaitable<void> push(Entry entry, IdentifyMessage message);

  // host_addresses.cpp
  std::vector<asio::ip::address> reachable() const;
  std::vector<asio::ip::address> local_ends(Connection::Direction direction) const;
  std::vector<Multiaddr> addresses_for(const Connection* connection) const;
  bool may_dial(const tcp::endpoint& address) const;

  awaitable<void> wait_for_callers();

  asio::any_io_executor executor;
  Clock& clock;
  const Identity& identity;
  Dialer& dialer;
  const HostOptions options;
  std::shared_ptr<YamuxBudget> budget;  ///< shared with the connections' sessions
  RareLog rare_log;
  Upgrader upgrader;
  ConnectionSlots slots;
  ConnectionTable table;
  std::map<std::string, StreamHandler> handlers;
  std::function<void(const PeerId&, const PeerAbout&)> on_identified;
  tcp::acceptor acceptor;
  tcp::endpoint endpoint;
  TaskGroup tasks;
  PeerDials dials;
  Signal identified;  ///< some connection's identification has ended
  Signal changed;     ///< what peers are told of us may have
  bool is_changed = false;
  Signal callers_gone;
  std::size_t callers = 0;
  std::size_t dialling = 0;
  bool stopping = false;
  Counters counters;
};

}  // namespace hagring::dht
