// SPDX-License-Identifier: Apache-2.0
#include "dht/kad_streams.hpp"

#include <algorithm>

#include "dht/multiformats/varint.hpp"
#include "dht/net/error.hpp"
#include "dht/net/exact.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::dht {
namespace {

constexpr std::string_view kPart = "kad";

void append_delimited(Bytes& into, const kad::Message& message) {
  const Bytes bytes = encode(message);
  append_varint(into, bytes.size());
  into.insert(into.end(), bytes.begin(), bytes.end());
}

/// Whether a kept stream failed in a way that says nothing of the peer: it had ended it meanwhile.
bool stale(const error_code& error) {
  return !is_cancelled(error) && error != Errc::timed_out && error != Errc::bad_message &&
         error != Errc::too_large;
}

}  // namespace

bool serves_kad(const PeerAbout& about) {
  return std::ranges::find(about.protocols, kKadProtocol) != about.protocols.end();
}

kad::PeerId to_kad(const PeerId& peer) { return kad::PeerId::from_bytes(peer.bytes()).value(); }

kad::Multiaddr to_kad(const Multiaddr& address) {
  return kad::Multiaddr(address.without_peer().to_bytes());
}

std::vector<kad::Multiaddr> to_kad(const std::vector<Multiaddr>& addresses) {
  std::vector<kad::Multiaddr> all;
  for (const auto& address : addresses) all.push_back(to_kad(address));
  return all;
}

std::optional<PeerId> from_kad(const kad::PeerId& peer) { return PeerId::from_bytes(peer.bytes()); }

std::optional<Multiaddr> from_kad(const kad::Multiaddr& address) {
  auto parsed = Multiaddr::from_bytes(address.bytes());
  if (!parsed) return std::nullopt;
  return std::move(*parsed);
}

KadStreams::KadStreams(Clock& clock, Host& host, Options options)
    : clock_(clock), host_(host), options_(options) {}

KadStreams::~KadStreams() = default;

void KadStreams::serve(Handler handler) {
  handler_ = std::move(handler);
  host_.serve(kKadProtocol,
              [this](Host::Inbound inbound) { return serve_stream(std::move(inbound)); });
}

awaitable<Result<kad::Message>> KadStreams::ask(kad::PeerInfo peer, kad::Message request,
                                                Duration limit) {
  Bytes bytes;
  append_delimited(bytes, request);
  Exchange exchange = [this, bytes = std::move(bytes)](ByteStream& stream) {
    return send_and_read(stream, bytes);
  };
  co_return co_await with_deadline(clock_, limit, in_turn(std::move(peer), std::move(exchange)));
}

awaitable<Result<void>> KadStreams::tell(kad::PeerInfo peer, std::vector<kad::Message> messages,
                                         Duration limit) {
  Bytes bytes;
  for (const auto& message : messages) append_delimited(bytes, message);
  messages = {};  // several times as large as their bytes, and a peer may take its time
  Exchange exchange = [this, bytes = std::move(bytes)](ByteStream& stream) {
    return send(stream, bytes);
  };
  const auto told =
      co_await with_deadline(clock_, limit, in_turn(std::move(peer), std::move(exchange)));
  if (!told) co_return told.error();
  co_return Result<void>();
}

kad::Ip KadStreams::remote(const kad::PeerInfo& peer) const {
  const auto id = from_kad(peer.id);
  const auto address = id ? host_.remote_address(*id) : std::nullopt;
  if (!address) return {};
  return address->is_v4() ? kad::Ip(address->to_v4().to_bytes())
                          : kad::Ip(address->to_v6().to_bytes());
}

class KadStreams::Place {
 public:
  Place(std::map<PeerId, Busy>& all, const PeerId& peer, const asio::any_io_executor& on)
      : all_(all), busy_(all.try_emplace(peer, on).first) {
    ++busy_->second.requests;
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    auto& busy = busy_->second;
    if (taken_) {
      --busy.places;
      busy.freed.wake();
    }
    if (--busy.requests == 0) all_.erase(busy_);
  }

  awaitable<Result<void>> take(std::size_t limit) {
    auto& busy = busy_->second;
    while (busy.places >= limit) CO_CHECK(co_await busy.freed.wait());
    ++busy.places;
    taken_ = true;
    co_return Result<void>();
  }

 private:
  std::map<PeerId, Busy>& all_;
  std::map<PeerId, Busy>::iterator busy_;
  bool taken_ = false;
};

/// Runs `exchange` when the peer has a stream to spare: that we have none left says nothing of it.
awaitable<Result<kad::Message>> KadStreams::in_turn(kad::PeerInfo peer, Exchange exchange) {
  const auto id = from_kad(peer.id);
  if (!id) co_return Errc::bad_message;
  Place place(busy_, *id, co_await asio::this_coro::executor);
  CO_CHECK(co_await place.take(options_.max_busy_of_a_peer));
  co_return co_await on_stream(*id, std::move(peer.addresses), std::move(exchange));
}

/// Runs `exchange` on a stream that is kept, and, if that turns out to have ended, on a new one.
awaitable<Result<kad::Message>> KadStreams::on_stream(PeerId peer,
                                                      std::vector<kad::Multiaddr> addresses,
                                                      Exchange exchange) {
  if (auto kept = take_idle(peer)) {
    auto done = co_await exchange(*kept);
    if (done) keep(peer, std::move(kept));
    if (done || !stale(done.error())) co_return done;
  }
  std::vector<Multiaddr> known;
  for (const auto& address : addresses) {
    if (auto read = from_kad(address)) known.push_back(std::move(*read));
  }
  CO_TRY(auto stream, co_await host_.open(peer, std::move(known), kKadProtocol));
  auto done = co_await exchange(*stream);
  if (done) keep(std::move(peer), std::move(stream));
  co_return done;
}

awaitable<Result<kad::Message>> KadStreams::send_and_read(ByteStream& stream, ByteView request) {
  CO_CHECK(co_await stream.write(request));
  CO_TRY(const auto reply, co_await read_delimited(stream, options_.max_reply));
  co_return kad::decode_message(reply);
}

awaitable<Result<kad::Message>> KadStreams::send(ByteStream& stream, ByteView messages) {
  CO_CHECK(co_await stream.write(messages));
  co_return kad::Message();
}

std::unique_ptr<ByteStream> KadStreams::take_idle(const PeerId& peer) {
  // The one used last: the others may end of themselves.
  const auto found = std::find_if(idle_.rbegin(), idle_.rend(),
                                  [&](const Idle& idle) { return idle.peer == peer; });
  if (found == idle_.rend()) return nullptr;
  auto stream = std::move(found->stream);
  idle_.erase(std::next(found).base());
  return stream;
}

void KadStreams::keep(PeerId peer, std::unique_ptr<ByteStream> stream) {
  if (idle_.size() >= options_.max_idle) idle_.pop_front();
  idle_.push_back({std::move(peer), clock_.now(), std::move(stream)});
}

awaitable<void> KadStreams::sweep() {
  while (!co_await asked_to_stop()) {
    const auto limit = clock_.now() - options_.idle;
    while (!idle_.empty() && idle_.front().since <= limit) idle_.pop_front();
    co_await clock_.sleep_for(options_.idle / 4);
  }
  idle_.clear();
}

awaitable<void> KadStreams::serve_stream(Host::Inbound inbound) {
  while (!co_await asked_to_stop()) {
    const auto served = co_await serve_request(*inbound.stream, inbound.peer);
    if (served) continue;
    if (served.error() == Errc::end_of_stream) {
      co_await with_deadline(clock_, options_.write, inbound.stream->shutdown_write());
    } else if (served.error() == Errc::bad_message || served.error() == Errc::too_large) {
      log::debug(kPart, "a request of {} is refused: {}", inbound.peer.to_string(),
                 served.error().message());
    }
    co_return;
  }
}

awaitable<Result<void>> KadStreams::serve_request(ByteStream& stream, PeerId peer) {
  CO_TRY(const auto bytes, co_await with_deadline(clock_, options_.served_idle,
                                                  read_delimited(stream, options_.max_request)));
  CO_TRY(const auto request, kad::decode_message(bytes));
  CO_TRY(const auto reply, handler_(peer, request));
  if (!reply) co_return Result<void>();
  co_return co_await with_deadline(clock_, options_.write, write_delimited(stream, encode(*reply)));
}

}  // namespace hagring::dht
