// SPDX-License-Identifier: Apache-2.0
#include "dht/net/connection.hpp"

#include "userspace/base/deadline.hpp"

namespace hagring::dht {
namespace {

constexpr Duration kBetweenCancels = std::chrono::milliseconds(500);

YamuxSession::Role role_of(Connection::Direction direction) {
  return direction == Connection::Direction::outbound ? YamuxSession::Role::dialler
                                                      : YamuxSession::Role::listener;
}

}  // namespace

awaitable<void> end_all(TaskGroup& group, Clock& clock) {
  TaskGroup again(co_await asio::this_coro::executor, "cancel");
  again.spawn([&]() -> awaitable<void> {
    while (!co_await asked_to_stop()) {
      group.cancel();
      co_await clock.sleep_for(kBetweenCancels);
    }
  });
  co_await group.drain();
  again.cancel();
  co_await again.drain();
}

Connection::Connection(SecureConnection secure, Direction direction, Ends ends,
                       std::optional<ConnectionSlots::Slot> slot, Clock& clock,
                       asio::any_io_executor executor, YamuxOptions options)
    : peer_(std::move(secure.peer)),
      key_(std::move(secure.key)),
      direction_(direction),
      ends_(std::move(ends)),
      slot_(std::move(slot)),
      clock_(clock),
      // Threat: streams that a peer opens and resets are gone sooner than their tasks.
      max_tasks_(2 * options.max_inbound_streams + 16),
      session_(std::move(secure.stream), role_of(direction), clock, executor, std::move(options)),
      tasks_(executor, "connection"),
      last_used_(clock.now()) {}

awaitable<error_code> Connection::run(ServeStream serve) {
  tasks_.spawn([this, serve = std::move(serve)] { return accept_streams(serve); });
  const auto reason = co_await session_.run();
  close();
  co_await end_all(tasks_, clock_);
  co_return reason;
}

awaitable<void> Connection::accept_streams(ServeStream serve) {
  while (true) {
    auto accepted = co_await session_.accept();
    if (!accepted) co_return;
    last_used_ = clock_.now();
    if (tasks_.size() > max_tasks_) continue;
    tasks_.spawn([this, serve, stream = std::move(*accepted)]() mutable -> awaitable<void> {
      co_await serve(std::move(stream));
      last_used_ = clock_.now();
    });
  }
}

Result<std::unique_ptr<ByteStream>> Connection::open_stream() {
  last_used_ = clock_.now();
  return session_.open();
}

awaitable<bool> Connection::answers(Duration limit) {
  in_doubt_ = true;
  const auto answered = co_await with_deadline(clock_, limit, session_.ping());
  in_doubt_ = false;
  co_return answered.has_value();
}

void Connection::close() {
  if (std::exchange(closed_, true)) return;
  slot_.reset();
  session_.close();
}

}  // namespace hagring::dht
