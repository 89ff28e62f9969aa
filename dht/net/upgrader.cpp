// SPDX-License-Identifier: Apache-2.0
#include "dht/net/upgrader.hpp"

#include <fmt/format.h>

#include "dht/net/error.hpp"
#include "dht/net/multistream.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::dht {
namespace {

/// A connection at the bottom of an upgrade's layers, which can be cut while they own it.
class Bottom final : public ByteStream {
 public:
  struct State {
    explicit State(asio::ip::tcp::socket connected) : socket(std::move(connected)) {}
    SocketStream socket;
    std::size_t received = 0;
  };

  explicit Bottom(std::shared_ptr<State> state) : state_(std::move(state)) {}
  ~Bottom() override { state_->socket.close(); }

  awaitable<Result<std::size_t>> read_some(MutableBytes into) override {
    auto state = state_;
    CO_TRY(const auto size, co_await state->socket.read_some(into));
    state->received += size;
    co_return size;
  }
  awaitable<Result<void>> write(ByteView from) override {
    auto state = state_;
    co_return co_await state->socket.write(from);
  }
  awaitable<Result<void>> shutdown_write() override { return state_->socket.shutdown_write(); }
  void close() override { state_->socket.close(); }
  void set_inactivity_limit(Duration limit) override { state_->socket.set_inactivity_limit(limit); }

 private:
  std::shared_ptr<State> state_;  ///< shared with the upgrade while that lasts
};

enum class Phase { security, tls, muxer };

/// What a side without our network's key does: it closes, resets, sends garbage, or waits for more.
bool is_gone_or_garbled(const error_code& error) {
  return error == Errc::bad_message || error == Errc::too_large || error == Errc::truncated ||
         error == Errc::end_of_stream || error == Errc::timed_out ||
         error == boost::system::errc::connection_reset ||
         error == boost::system::errc::broken_pipe;
}

}  // namespace

/// One upgrade under way.
struct Upgrader::Attempt {
  bool dialled;
  std::optional<PeerId> expected;
  UpgradeFailure& failure;
  Phase phase = Phase::security;
  TlsFailure tls = {};
  std::shared_ptr<Bottom::State> bottom = nullptr;  ///< shared with the layers' Bottom
  bool late = false;
  std::uint64_t id = 0;
};

Upgrader::Upgrader(const Identity& identity, Clock& clock, std::optional<NetworkKey> network_key,
                   Duration limit)
    : clock_(clock), network_key_(network_key), limit_(limit), tls_(identity, clock) {}

awaitable<Result<SecureConnection>> Upgrader::connect(asio::ip::tcp::socket socket,
                                                      std::optional<PeerId> expected,
                                                      UpgradeFailure& failure) {
  Attempt attempt{.dialled = true, .expected = std::move(expected), .failure = failure};
  co_return co_await upgrade(std::move(socket), attempt);
}

awaitable<Result<SecureConnection>> Upgrader::accept(asio::ip::tcp::socket socket,
                                                     UpgradeFailure& failure, std::uint64_t id) {
  Attempt attempt{.dialled = false, .expected = std::nullopt, .failure = failure, .id = id};
  co_return co_await upgrade(std::move(socket), attempt);
}

void Upgrader::cut(std::uint64_t id) {
  for (auto* attempt : under_way_) {
    if (!attempt->dialled && attempt->id == id) attempt->bottom->socket.close();
  }
}

void Upgrader::close() {
  for (auto* attempt : under_way_) attempt->bottom->socket.close();
}

awaitable<Result<SecureConnection>> Upgrader::upgrade(asio::ip::tcp::socket socket,
                                                      Attempt& attempt) {
  attempt.bottom = std::make_shared<Bottom::State>(std::move(socket));
  under_way_.insert(&attempt);
  // The connection is closed at the deadline: a cancellation that falls between two reads of a
  // peer that dribbles would end neither.
  TaskGroup deadline(co_await asio::this_coro::executor, "upgrade");
  deadline.spawn([this, &attempt]() -> awaitable<void> {
    if (co_await asked_to_stop()) co_return;
    co_await clock_.sleep_for(limit_);
    if (co_await asked_to_stop()) co_return;
    attempt.late = true;
    attempt.bottom->socket.close();
  });
  auto result = co_await climb(std::make_unique<Bottom>(attempt.bottom), attempt);
  deadline.cancel();
  co_await deadline.drain();
  under_way_.erase(&attempt);
  if (attempt.late) result = make_error_code(Errc::timed_out);
  if (!result) explain(attempt, result.error());
  co_return result;
}

awaitable<Result<SecureConnection>> Upgrader::climb(std::unique_ptr<ByteStream> stream,
                                                    Attempt& attempt) {
  if (network_key_) {
    stream = join_private_network(std::move(stream), *network_key_, random_network_nonce());
  }
  const std::vector<std::string> security{kTlsProtocol};
  const std::vector<std::string> muxers{kYamuxProtocol};
  if (attempt.dialled) {
    CO_CHECK(co_await propose_protocol(*stream, security));
  } else {
    CO_CHECK(co_await answer_protocol(*stream, security));
  }
  attempt.phase = Phase::tls;
  Result<SecureConnection> secure = Errc::cancelled;
  if (attempt.dialled) {
    secure = co_await tls_.connect(std::move(stream), attempt.expected, &attempt.tls);
  } else {
    secure = co_await tls_.accept(std::move(stream), &attempt.tls);
  }
  if (!secure) co_return secure.error();
  attempt.phase = Phase::muxer;
  if (!secure->muxer.empty()) co_return secure;
  if (attempt.dialled) {
    CO_TRY(secure->muxer, co_await propose_protocol(*secure->stream, muxers));
  } else {
    CO_TRY(secure->muxer, co_await answer_protocol(*secure->stream, muxers));
  }
  co_return secure;
}

void Upgrader::explain(const Attempt& attempt, error_code error) const {
  auto& failure = attempt.failure;
  failure.level = log::Level::info;
  const bool silent = attempt.bottom->received == 0;
  if (error == Errc::cancelled || (silent && !attempt.dialled)) {
    // A port that is only probed, as load balancers and kubelets do.
    failure.level = log::Level::debug;
    failure.text = error.message();
  } else if (error == NetErrc::wrong_peer) {
    failure.peer = attempt.tls.peer;
    failure.text = attempt.tls.reason + ": the address has a new owner, or is another node's";
  } else if (error == NetErrc::bad_certificate) {
    failure.text = "its certificate proves no libp2p identity: " + attempt.tls.reason;
  } else if (attempt.phase == Phase::security && network_key_ && is_gone_or_garbled(error)) {
    failure.level = log::Level::warning;
    failure.text = fmt::format(
        "the other side doesn't share this network's key, or has none ({}); compare both nodes' "
        "network keys",
        error.message());
  } else if (attempt.phase == Phase::security && is_gone_or_garbled(error)) {
    failure.text = fmt::format(
        "the other side doesn't answer as a libp2p node ({}); if it has a network key, this node "
        "needs the same one",
        error.message());
  } else if (attempt.phase == Phase::security) {
    failure.text = fmt::format("no security protocol in common ({}); we speak {}", error.message(),
                               kTlsProtocol);
  } else if (attempt.phase == Phase::tls) {
    // Spegel's nodes learn an unknown peer's ID from a handshake that they abort.
    if (!attempt.dialled) failure.level = log::Level::debug;
    failure.text = fmt::format("TLS failed: {}{}{}", error.message(),
                               attempt.tls.reason.empty() ? "" : ", ", attempt.tls.reason);
  } else {
    failure.text =
        fmt::format("no muxer agreed on ({}); we speak {}", error.message(), kYamuxProtocol);
  }
}

}  // namespace hagring::dht
