// SPDX-License-Identifier: Apache-2.0
#include "registry/advertiser.hpp"

#include "userspace/base/log.hpp"

namespace hagring::registry {

Advertiser::Advertiser(const asio::any_io_executor& executor, Clock& clock, ContentRouter& router,
                       Options options)
    : clock_(clock),
      router_(router),
      options_(options),
      changed_(executor, asio::steady_timer::time_point::max()) {}

void Advertiser::notify(StoreChange change) {
  for (auto& key : change.added) pending_.insert_or_assign(std::move(key), true);
  for (auto& key : change.removed) pending_.insert_or_assign(std::move(key), false);
  changed_.cancel();
}

awaitable<void> Advertiser::run() {
  co_await asio::this_coro::throw_if_cancelled(false);
  const auto stopped = [state = co_await asio::this_coro::cancellation_state] {
    return state.cancelled() != asio::cancellation_type::none;
  };
  while (!stopped()) {
    if (pending_.empty()) {
      co_await changed_.async_wait(kTuple);
      continue;
    }
    co_await clock_.sleep_for(options_.gather);
    if (stopped()) break;
    for (const bool added : {false, true}) {
      const auto passed = co_await pass_on(added);
      if (passed || stopped()) continue;
      log::warning("advertiser", "can't make {} keys known: {}; trying again",
                   added ? "new" : "removed", passed.error().message());
      co_await clock_.sleep_for(options_.retry);
    }
  }
}

awaitable<Result<void>> Advertiser::pass_on(bool added) {
  while (true) {
    std::vector<std::string> keys;
    for (const auto& [key, is_added] : pending_) {
      if (is_added == added && keys.size() < options_.batch_keys) keys.push_back(key);
    }
    if (keys.empty()) co_return Result<void>();
    for (const auto& key : keys) pending_.erase(key);
    const auto passed = added ? co_await router_.announce(keys) : co_await router_.withdraw(keys);
    if (passed) continue;
    // What has changed meanwhile is newer.
    for (auto& key : keys) pending_.emplace(std::move(key), added);
    co_return passed.error();
  }
}

}  // namespace hagring::registry
