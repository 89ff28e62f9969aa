// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "dht/kad/rpc.hpp"
#include "dht/net/host.hpp"
#include "dht/net/signal.hpp"

namespace hagring::dht {

/// Spegel's prefix before Kademlia's protocol (libp2p's own is `/ipfs`).
inline constexpr const char* kKadProtocol = "/spegel/kad/1.0.0";

/// Whether a peer says that it serves it.
bool serves_kad(const PeerAbout& about);

/// The same peer and address as each layer keeps them.
kad::PeerId to_kad(const PeerId& peer);
kad::Multiaddr to_kad(const Multiaddr& address);
std::vector<kad::Multiaddr> to_kad(const std::vector<Multiaddr>& addresses);
std::optional<PeerId> from_kad(const kad::PeerId& peer);
std::optional<Multiaddr> from_kad(const kad::Multiaddr& address);

/// Times and limits of Kademlia's streams.
struct KadStreamOptions {
  /// An idle stream is kept so long for the next request. go-libp2p ends it after 60 s
  /// (internal/net/message_manager.go), js-libp2p after 10 s.
  Duration idle = std::chrono::seconds(30);
  std::size_t max_idle = 128;
  /// Requests under way to one peer; more wait. A connection has 64 streams of ours at most
  /// (YamuxOptions), some of which are others'.
  std::size_t max_busy_of_a_peer = 48;
  /// A server's, from one reply to the end of the next request (dht_net.go).
  Duration served_idle = std::chrono::seconds(60);
  Duration write = std::chrono::seconds(10);  ///< for a reply to be taken
  /// A request has one key and one provider: go-libp2p's largest has 8 KiB.
  std::size_t max_request = std::size_t{64} * 1024;
  /// Forty peers and as many providers as are used, of 1 KiB each, and some.
  std::size_t max_reply = std::size_t{1024} * 1024;
};

/// Kademlia's requests as streams of a host: one request at a time on each, reused (kad-dht
/// specification, "RPC messages"). Used from the host's thread.
class KadStreams final : public kad::Rpc {
 public:
  using Options = KadStreamOptions;
  /// Answers a request of the proven peer `sender`; an error resets its stream.
  using Handler = std::function<Result<std::optional<kad::Message>>(const PeerId& sender,
                                                                    const kad::Message& request)>;

  /// `clock` and `host` must outlive this.
  KadStreams(Clock& clock, Host& host, Options options);
  ~KadStreams() override;

  /// Serves the protocol on the host; before its start().
  void serve(Handler handler);

  awaitable<Result<kad::Message>> ask(kad::PeerInfo peer, kad::Message request,
                                      Duration limit) override;
  awaitable<Result<void>> tell(kad::PeerInfo peer, std::vector<kad::Message> messages,
                               Duration limit) override;
  kad::Ip remote(const kad::PeerInfo& peer) const override;

  /// Closes streams that have been idle for too long, again and again until cancelled.
  awaitable<void> sweep();

 private:
  struct Idle {
    PeerId peer;
    TimePoint since;
    std::unique_ptr<ByteStream> stream;
  };

  /// A request's place among those to one peer.
  class Place;
  struct Busy {
    explicit Busy(const asio::any_io_executor& on) : freed(on) {}
    std::size_t requests = 0;  ///< those that wait for a place included
    std::size_t places = 0;
    Signal freed;
  };

  /// What is to be done on a stream; it has the bytes, and outlives what it returns.
  using Exchange = std::function<awaitable<Result<kad::Message>>(ByteStream&)>;

  awaitable<Result<kad::Message>> in_turn(kad::PeerInfo peer, Exchange exchange);
  awaitable<Result<kad::Message>> on_stream(PeerId peer, std::vector<kad::Multiaddr> addresses,
                                            Exchange exchange);
  awaitable<Result<kad::Message>> send_and_read(ByteStream& stream, ByteView request);
  awaitable<Result<kad::Message>> send(ByteStream& stream, ByteView messages);
  awaitable<void> serve_stream(Host::Inbound inbound);
  awaitable<Result<void>> serve_request(ByteStream& stream, PeerId peer);
  std::unique_ptr<ByteStream> take_idle(const PeerId& peer);
  void keep(PeerId peer, std::unique_ptr<ByteStream> stream);

  Clock& clock_;
  Host& host_;
  const Options options_;
  Handler handler_;
  std::deque<Idle> idle_;  ///< the longest idle first
  std::map<PeerId, Busy> busy_;
};

}  // namespace hagring::dht
