// SPDX-License-Identifier: Apache-2.0
#include "dht/net/peer_dials.hpp"

namespace hagring::dht {

using asio::ip::tcp;

struct PeerDials::Dial {
  Dial(const asio::any_io_executor& executor, PeerId whom)
      : peer(std::move(whom)), changed(executor), finished(executor), attempts(executor, "dial") {}

  const PeerId peer;
  std::deque<tcp::endpoint> waiting;
  std::set<tcp::endpoint> seen;
  std::size_t active = 0;
  TimePoint next;  ///< when another attempt may begin beside those under way
  Entry winner;
  error_code error = Errc::unavailable;
  bool done = false;
  Signal changed;
  Signal finished;
  TaskGroup attempts;
};

awaitable<Result<PeerDials::Entry>> PeerDials::dial(PeerId peer,
                                                    std::vector<tcp::endpoint> addresses) {
  const auto executor = co_await asio::this_coro::executor;
  auto& place = dials_[peer];
  const bool is_first = !place;
  if (is_first) place = std::make_shared<Dial>(executor, peer);
  const auto dial = place;
  consider(*dial, addresses);
  if (is_first) {
    tasks_.spawn([this, dial] { return race(dial); });
  }
  while (!dial->done) CO_CHECK(co_await dial->finished.wait());
  if (dial->winner) co_return dial->winner;
  co_return dial->error;
}

void PeerDials::arrived(const Entry& connection) {
  backoff_.forget(connection->peer());
  const auto found = dials_.find(connection->peer());
  if (found == dials_.end() || found->second->winner) return;
  found->second->winner = connection;
  found->second->changed.wake();
}

void PeerDials::consider(Dial& dial, const std::vector<tcp::endpoint>& addresses) {
  for (const auto& address : addresses) {
    if (dial.seen.size() >= kMaxAddresses) break;
    if (!dial.seen.insert(address).second) continue;
    if (const auto error = backoff_.resting(dial.peer, address)) {
      dial.error = *error;
    } else {
      dial.waiting.push_back(address);
    }
  }
  dial.changed.wake();
}

awaitable<void> PeerDials::race(Shared dial) {
  while (!dial->winner && !co_await asked_to_stop()) {
    if (!dial->waiting.empty() && (dial->active == 0 || clock_.now() >= dial->next)) {
      begin_attempt(dial);
      continue;
    }
    if (dial->active == 0) break;
    (void)co_await dial->changed.wait();
  }
  if (!dial->winner && co_await asked_to_stop()) dial->error = Errc::cancelled;
  dial->done = true;
  dials_.erase(dial->peer);
  dial->finished.wake();
  co_await end_all(dial->attempts, clock_);
}

void PeerDials::begin_attempt(const Shared& dial) {
  ++dial->active;
  dial->next = clock_.now() + kAttemptDelay;
  const auto address = dial->waiting.front();
  dial->waiting.pop_front();
  dial->attempts.spawn([this, dial, address] { return attempt(dial, address); });
  dial->attempts.spawn([this, dial]() -> awaitable<void> {
    if (!co_await asked_to_stop()) co_await clock_.sleep_for(kAttemptDelay);
    dial->changed.wake();
  });
}

awaitable<void> PeerDials::attempt(Shared dial, tcp::endpoint address) {
  auto made = co_await connect_(address, dial->peer);
  --dial->active;
  if (made) {
    if (!dial->winner) dial->winner = std::move(*made);
  } else if (!is_cancelled(made.error())) {
    dial->error = made.error();
    dial->next = clock_.now();
    backoff_.failed(dial->peer, address, made.error());
  }
  dial->changed.wake();
}

}  // namespace hagring::dht
