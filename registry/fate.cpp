// SPDX-License-Identifier: Apache-2.0
#include "registry/fate.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>

namespace hagring::registry {

void Fate::seal() {
  sealed_ = true;
  sleep_.emit(asio::cancellation_type::terminal);
}

awaitable<void> Fate::sleep_until(TimePoint when) {
  if (sealed_) co_return;
  auto told = (co_await asio::this_coro::cancellation_state).slot();
  // Asio clears the slot when the caller goes on.
  if (told.is_connected()) {
    told.assign([this](asio::cancellation_type type) { sleep_.emit(type); });
  }
  co_await asio::co_spawn(executor_, clock_.sleep_until(when),
                          asio::bind_cancellation_slot(sleep_.slot(), kTuple));
}

}  // namespace hagring::registry
