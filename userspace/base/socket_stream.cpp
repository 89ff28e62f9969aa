// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/socket_stream.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <utility>

namespace hagring {

/// The socket and its one inactivity timer. The timer is not re-armed for each operation: it wakes
/// at the earliest time the limit can have passed, looks at the last activity, and sleeps on.
struct SocketStream::State {
  explicit State(Socket connected) : socket(std::move(connected)), timer(socket.get_executor()) {}

  Socket socket;
  asio::steady_timer timer;
  Duration limit{0};
  TimePoint last_activity{};
  int waiting = 0;
  bool armed = false;
  unsigned round = 0;  ///< which of the timer's waits counts
  bool timed_out = false;
  bool more_may_be_there = false;  ///< the last read has filled its buffer
  std::size_t at_once = 0;         ///< counted bytes since the last operation that let others run
};

namespace {

template <typename State>
void arm(const std::shared_ptr<State>& state) {
  state->armed = true;
  state->timer.expires_at(state->last_activity + state->limit);
  state->timer.async_wait([state, round = ++state->round](const error_code& error) {
    if (round != state->round) return;
    state->armed = false;
    if (error || state->waiting == 0 || state->limit == Duration::zero()) return;
    if (std::chrono::steady_clock::now() < state->last_activity + state->limit) return arm(state);
    state->timed_out = true;
    error_code ignored;
    state->socket.cancel(ignored);
  });
}

/// Asio takes every operation through its queue, and asks the kernel for events before each turn,
/// even if the operation itself is done at once. Small ones are done past the queue, so many bytes
/// in a row, since others of the thread must get their turn; with great ones it doesn't matter.
constexpr std::size_t kAtOnce = std::size_t{128} * 1024;
constexpr std::size_t kSmall = kAtOnce / 2;
constexpr std::size_t kCountedLeast = kAtOnce / 8;

/// Does an operation at once, if that may be and can be; nullopt otherwise.
template <typename State, typename Operation>
std::optional<std::pair<error_code, std::size_t>> try_at_once(State& state, Operation operation) {
  if (state.at_once >= kAtOnce) return std::nullopt;
  error_code error;
  const std::size_t size = operation(state.socket, error);
  if (error == asio::error::would_block || error == asio::error::try_again) return std::nullopt;
  state.at_once += std::max(size, kCountedLeast);
  return std::pair(error, size);
}

/// Counts one operation as waiting and keeps the timer armed meanwhile.
template <typename State>
class Waiting {
 public:
  explicit Waiting(std::shared_ptr<State> state) : state_(std::move(state)) {
    ++state_->waiting;
    active();
    if (state_->limit != Duration::zero() && !state_->armed) arm(state_);
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() {
    --state_->waiting;
    active();
  }
  void active() { state_->last_activity = std::chrono::steady_clock::now(); }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace

SocketStream::SocketStream(Socket socket) : state_(std::make_shared<State>(std::move(socket))) {
  error_code ignored;
  state_->socket.non_blocking(true, ignored);
}

SocketStream::~SocketStream() { close(); }

awaitable<Result<std::size_t>> SocketStream::read_some(MutableBytes into) {
  // The state stays alive even if the stream is destroyed by what resumes first.
  Waiting waiting(state_);
  const auto buffer = asio::buffer(into.data(), into.size());
  std::optional<std::pair<error_code, std::size_t>> done;
  if (state_->more_may_be_there) {
    done = try_at_once(*state_, [&](Socket& socket, error_code& error) {
      return socket.read_some(buffer, error);
    });
  }
  if (!done) {
    const auto [error, size] = co_await state_->socket.async_read_some(buffer, kTuple);
    state_->at_once = 0;
    done.emplace(error, size);
  }
  const auto [error, size] = *done;
  state_->more_may_be_there = !error && size == into.size();
  if (error) co_return translate(error);
  co_return size;
}

awaitable<Result<void>> SocketStream::write(ByteView from) {
  Waiting waiting(state_);
  if (from.empty()) co_return Result<void>();
  std::optional<std::pair<error_code, std::size_t>> done;
  // What is left after the first try doesn't fit into the socket's buffer.
  if (from.size() <= kSmall) {
    done = try_at_once(*state_, [&](Socket& socket, error_code& error) {
      return socket.write_some(asio::buffer(from.data(), from.size()), error);
    });
  }
  while (true) {
    if (!done) {
      const auto [error, size] =
          co_await state_->socket.async_write_some(asio::buffer(from.data(), from.size()), kTuple);
      state_->at_once = 0;
      done.emplace(error, size);
    }
    const auto [error, size] = *std::exchange(done, std::nullopt);
    if (error) co_return translate(error);
    waiting.active();
    from = from.subspan(size);
    if (from.empty()) co_return Result<void>();
  }
}

awaitable<Result<void>> SocketStream::shutdown_write() {
  error_code error;
  state_->socket.shutdown(asio::socket_base::shutdown_send, error);
  if (error) co_return error;
  co_return Result<void>();
}

void SocketStream::close() {
  error_code ignored;
  state_->timer.cancel();
  state_->socket.close(ignored);
}

void SocketStream::set_inactivity_limit(Duration limit) {
  state_->limit = limit;
  state_->last_activity = std::chrono::steady_clock::now();
  // What wakes soon enough for the new limit looks at that then. Limits change with each request.
  const bool soon_enough = state_->armed && limit != Duration::zero() &&
                           state_->timer.expiry() <= state_->last_activity + limit;
  if (soon_enough) return;
  // Whatever was armed for the former limit is armed anew: now, or by the next operation, which may
  // begin before the timer's handler has heard of its end.
  ++state_->round;
  state_->armed = false;
  state_->timer.cancel();
  if (limit != Duration::zero() && state_->waiting > 0) arm(state_);
}

int SocketStream::plain_socket() const {
  return const_cast<Socket&>(state_->socket).native_handle();
}

awaitable<Result<void>> SocketStream::wait_writable() {
  Waiting waiting(state_);
  auto [error] = co_await state_->socket.async_wait(asio::socket_base::wait_write, kTuple);
  if (error) co_return translate(error);
  co_return Result<void>();
}

error_code SocketStream::translate(error_code error) const {
  if (state_->timed_out) return Errc::timed_out;
  if (error == asio::error::eof) return Errc::end_of_stream;
  if (is_cancelled(error) || error == asio::error::bad_descriptor) return Errc::cancelled;
  return error;
}

}  // namespace hagring
