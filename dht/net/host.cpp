// SPDX-License-Identifier: Apache-2.0
#include "dht/net/host.hpp"

#include <cassert>

#include "dht/net/error.hpp"
#include "dht/net/host_state.hpp"

namespace hagring::dht {

Host::State::State(asio::any_io_executor on, Clock& time, const Identity& self, Dialer& via,
                   HostOptions chosen)
    : executor(on),
      clock(time),
      identity(self),
      dialer(via),
      options(std::move(chosen)),
      budget(std::make_shared<YamuxBudget>()),
      rare_log(time, "dht"),
      upgrader(self, time, options.network_key, options.upgrade_limit),
      slots(options.max_inbound + options.max_handshakes, options.max_connections_of_an_address,
            options.max_handshakes),
      acceptor(on),
      tasks(on, "dht host"),
      dials(time, tasks, {.first = options.first_rest, .longest = options.longest_rest},
            [this](tcp::endpoint address, PeerId peer) { return dial(address, std::move(peer)); }),
      identified(on),
      changed(on),
      callers_gone(on) {
  budget->max_streams = options.max_streams;
  budget->max_buffered = options.max_buffered;
  budget->max_queued = options.max_buffered;
  budget->tell = [this](std::string_view what) { refuse("stream limit", what); };
}

awaitable<void> Host::State::wait_for_callers() {
  // Not interruptible: callers refer to this state.
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  while (callers > 0) (void)co_await callers_gone.wait();
}

Host::Host(asio::any_io_executor executor, Clock& clock, const Identity& identity, Dialer& dialer,
           HostOptions options)
    : state_(std::make_unique<State>(executor, clock, identity, dialer, std::move(options))) {}

Host::~Host() = default;

void Host::serve(std::string protocol, StreamHandler handler) {
  const bool is_new = state_->handlers.emplace(std::move(protocol), std::move(handler)).second;
  assert(is_new && "one handler a protocol");
  (void)is_new;
  state_->is_changed = true;
  state_->changed.wake();
}

void Host::on_identified(std::function<void(const PeerId&, const PeerAbout&)> told) {
  state_->on_identified = std::move(told);
}

void Host::bind() { state_->bind(); }

void Host::start() { state_->start(); }

awaitable<void> Host::stop() {
  auto& state = *state_;
  state.stopping = true;
  error_code ignored;
  state.acceptor.close(ignored);
  state.upgrader.close();
  for (const auto& entry : state.table.all()) entry->close();
  state.identified.wake();
  co_await end_all(state.tasks, state.clock);
  co_await asio::co_spawn(state.executor, state.wait_for_callers(), kTuple);
  // Streams that callers still have tell nobody any more.
  state.budget->tell = [](std::string_view) {};
}

awaitable<Result<std::unique_ptr<ByteStream>>> Host::open(PeerId peer,
                                                          std::vector<Multiaddr> addresses,
                                                          std::string protocol) {
  auto& state = *state_;
  const State::Caller caller(state);
  for (bool again = true;; again = false) {
    CO_TRY(const auto entry, co_await state.reach(peer, addresses));
    auto stream = co_await state.open_on(entry, protocol);
    if (stream || !again) co_return stream;
    // A connection that died under us, or is dead without knowing while there is another one.
    const bool is_silent =
        stream.error() == Errc::timed_out && state.table.size(peer) > 1 && entry->healthy();
    if (is_silent) entry->close();
    if (!is_silent && stream.error() != NetErrc::session_closed) co_return stream.error();
  }
}

awaitable<Result<PeerId>> Host::connect(asio::ip::tcp::endpoint address,
                                        std::optional<PeerId> expected) {
  auto& state = *state_;
  const State::Caller caller(state);
  if (state.stopping) co_return Errc::cancelled;
  auto entry = state.connection_to(address, expected);
  if (!entry) {
    CO_TRY(entry, co_await state.dial_as_task(address, expected));
  }
  CO_CHECK(co_await state.wait_until_identified(entry));
  co_return entry->peer();
}

bool Host::connected(const PeerId& peer) const { return state_->table.preferred(peer) != nullptr; }

std::optional<asio::ip::address> Host::remote_address(const PeerId& peer) const {
  const auto connection = state_->table.preferred(peer);
  if (!connection) return std::nullopt;
  return connection->ends().remote.address();
}

const PeerAbout* Host::about(const PeerId& peer) const {
  const auto* known = state_->table.find(peer);
  return known && known->about ? &*known->about : nullptr;
}

const PeerId& Host::peer_id() const { return state_->identity.peer_id(); }

asio::ip::tcp::endpoint Host::endpoint() const { return state_->endpoint; }

std::vector<Multiaddr> Host::addresses() const { return state_->addresses_for(nullptr); }

Host::Counters Host::counters() const {
  auto counters = state_->counters;
  counters.connections = state_->table.size();
  counters.inbound = counters.connections - state_->table.outbound();
  counters.streams = state_->table.streams();
  return counters;
}

}  // namespace hagring::dht
