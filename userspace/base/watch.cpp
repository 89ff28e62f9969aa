// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/watch.hpp"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <cassert>
#include <utility>

#include "userspace/base/alarm.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring {
namespace {

/// An operation that was told to stop between two of its waits is told again after so long. Not the
/// Clock's time: a clock that stands still must not keep anybody from ending.
constexpr auto kBetweenCancels = std::chrono::milliseconds(100);

/// The sleep may be cut short before it has begun.
awaitable<void> sleep(Clock& clock, TimePoint end) {
  co_await asio::this_coro::throw_if_cancelled(false);
  if (!co_await asked_to_stop()) co_await clock.sleep_until(end);
}

}  // namespace

/// The caller's coroutine while it rests.
class Watch::Sleeper {
 public:
  virtual ~Sleeper() = default;
  virtual void wake() = 0;
};

template <typename Handler>
class Watch::SleeperOf final : public Sleeper {
 public:
  explicit SleeperOf(Handler handler) : handler_(std::move(handler)) {}
  void wake() override { std::move(handler_)(); }

 private:
  Handler handler_;
};

struct Watch::Bed {
  std::unique_ptr<Sleeper> sleeper;

  void wake() {
    // All that is left of the sleep goes with this, and maybe the bed.
    if (const auto awake = std::move(sleeper)) awake->wake();
  }
};

Watch::Watch(asio::any_io_executor executor, Clock& clock)
    : executor_(std::move(executor)),
      clock_(clock),
      by_machine_(dynamic_cast<const SystemClock*>(&clock) != nullptr) {}

/// With their context all may go at once: then there is no bed any more.
Watch::~Watch() { assert((running() == 0 || bed_.expired()) && "stop a Watch before it goes"); }

void Watch::start(awaitable<void> operation) {
  assert(started_ < operations_.size());
  auto& own = operations_.at(started_++);
  auto bed = bed_.lock();
  if (!bed) bed_ = bed = std::make_shared<Bed>();
  asio::co_spawn(executor_, std::move(operation),
                 asio::bind_cancellation_slot(own.signal.slot(),
                                              [this, &own, bed = std::move(bed)](
                                                  std::exception_ptr error) { end(own, error); }));
}

void Watch::end(Operation& operation, std::exception_ptr error) {
  operation.ended = true;
  ++ended_;
  if (error) failure_ = std::move(error);
  sleep_.emit(asio::cancellation_type::terminal);
  // The caller may go on here, and let this go.
  if (const auto bed = bed_.lock()) bed->wake();
}

awaitable<void> Watch::wait(TimePoint end) {
  if (seen_ == ended_ && running() > 0) co_await (by_machine_ ? rest(end) : rest_by_clock(end));
  seen_ = ended_;
}

awaitable<void> Watch::rest(TimePoint end) {
  const Alarm alarm(executor_, end, [this] {
    if (const auto bed = bed_.lock()) bed->wake();
  });
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(
      [this](auto handler) {
        auto slot = asio::get_associated_cancellation_slot(handler);
        // Asio clears it when the caller goes on.
        if (slot.is_connected()) slot.assign([this](asio::cancellation_type) { wake_later(); });
        bed_.lock()->sleeper = std::make_unique<SleeperOf<decltype(handler)>>(std::move(handler));
      },
      asio::use_awaitable);
}

/// Such a clock's sleeps are coroutines of their own.
awaitable<void> Watch::rest_by_clock(TimePoint end) {
  auto told = (co_await asio::this_coro::cancellation_state).slot();
  if (told.is_connected()) {
    told.assign(
        [this](asio::cancellation_type) { sleep_.emit(asio::cancellation_type::terminal); });
  }
  co_await asio::co_spawn(executor_, sleep(clock_, end),
                          asio::bind_cancellation_slot(sleep_.slot(), kTuple));
}

/// For who must not find the caller at work when it returns. It may cut a later rest short: whoever
/// rests looks around and rests again.
void Watch::wake_later() {
  asio::post(executor_, [bed = bed_] {
    if (const auto found = bed.lock()) found->wake();
  });
}

awaitable<void> Watch::stop() {
  while (running() > 0) {
    for (auto& operation : operations_) {
      const bool runs = &operation < &operations_[started_] && !operation.ended;
      if (runs) operation.signal.emit(asio::cancellation_type::terminal);
    }
    if (running() > 0) co_await rest(std::chrono::steady_clock::now() + kBetweenCancels);
  }
}

}  // namespace hagring
