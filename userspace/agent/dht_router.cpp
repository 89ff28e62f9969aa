// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/dht_router.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <mutex>
#include <optional>

#include "userspace/agent/setting_value.hpp"

namespace hagring::agent {

namespace {

/// Peers found and not yet asked: who needs a source has enough to try.
constexpr std::size_t kEnoughPeers = 32;

}  // namespace

/// Between the search, on the control thread, and whoever takes its peers. Owned by both.
struct DhtRouter::Found {
  /// From the control thread: a peer, and where it may be reached besides; whether more are wanted.
  bool give(registry::Peer peer, std::optional<registry::Peer> otherwise) {
    const std::lock_guard lock(mutex);
    if (!wanted) return false;
    peers.push_back(std::move(peer));
    // Threat: a liar whose second address is tried before others' first.
    if (otherwise) others.push_back(std::move(*otherwise));
    wake();
    return peers.size() < kEnoughPeers;
  }

  /// Under the lock: the next peer, if there is one now.
  std::optional<registry::Peer> take() {
    auto& from = peers.empty() && ended ? others : peers;
    if (from.empty()) return std::nullopt;
    auto peer = std::move(from.front());
    from.pop_front();
    return peer;
  }

  bool is_wanted() {
    const std::lock_guard lock(mutex);
    return wanted;
  }

  /// From the control thread: there are no more.
  void end() {
    const std::lock_guard lock(mutex);
    ended = true;
    if (wanted) wake();
  }

  /// Under the lock, so that the taker's context is still there.
  void wake() {
    if (waiting) asio::post(waiting->get_executor(), [timer = waiting] { timer->cancel(); });
  }

  std::mutex mutex;
  std::deque<registry::Peer> peers;
  std::deque<registry::Peer> others;  ///< second addresses, for when all peers have been tried
  bool ended = false;
  bool wanted = true;
  /// The taker's, cancelled on its own executor; shared with what was posted there.
  std::shared_ptr<asio::steady_timer> waiting;
};

class DhtRouter::Search final : public registry::PeerSearch {
 public:
  Search(DhtRouter& router, std::shared_ptr<Found> found)
      : router_(router), found_(std::move(found)) {}

  ~Search() override {
    {
      const std::lock_guard lock(found_->mutex);
      found_->wanted = false;
      found_->waiting.reset();
      if (found_->ended) return;
    }
    asio::post(router_.control_,
               [&router = router_, found = std::move(found_)] { router.give_up(found); });
  }

  awaitable<Result<registry::Peer>> next() override {
    const auto home = co_await asio::this_coro::executor;
    while (true) {
      std::shared_ptr<asio::steady_timer> timer;
      {
        const std::lock_guard lock(found_->mutex);
        if (auto peer = found_->take()) co_return std::move(*peer);
        if (found_->ended) co_return Errc::end_of_stream;
        // What is given from now on wakes it: that is posted to this thread.
        timer = std::make_shared<asio::steady_timer>(home, TimePoint::max());
        found_->waiting = timer;
      }
      if (co_await asked_to_stop()) co_return Errc::cancelled;
      co_await timer->async_wait(kTuple);
    }
  }

 private:
  DhtRouter& router_;
  std::shared_ptr<Found> found_;
};

DhtRouter::DhtRouter(asio::any_io_executor control, dht::Node& node,
                     std::function<std::uint16_t()> peer_port,
                     std::function<void(std::optional<Duration>)> looked_up)
    : control_(std::move(control)),
      node_(node),
      peer_port_(std::move(peer_port)),
      looked_up_(std::move(looked_up)),
      searches_(control_, "search") {}

std::unique_ptr<registry::PeerSearch> DhtRouter::find(std::string key) {
  auto found = std::make_shared<Found>();
  asio::post(control_, [this, key = std::move(key), found]() mutable {
    if (stopped_) return found->end();
    searches_.spawn([this, key = std::move(key), found] { return search(key, found); });
  });
  return std::make_unique<Search>(*this, std::move(found));
}

awaitable<void> DhtRouter::search(std::string key, std::shared_ptr<Found> found) {
  if (!found->is_wanted()) co_return;
  TaskGroup lookup(control_, "lookup");
  lookups_.emplace(found.get(), &lookup);
  lookup.spawn([this, key, found] { return look_up(key, found); });
  if (stopped_) lookup.cancel();
  co_await lookup.drain();
  lookups_.erase(found.get());
  found->end();
}

awaitable<void> DhtRouter::look_up(std::string key, std::shared_ptr<Found> found) {
  const auto begin = std::chrono::steady_clock::now();
  std::optional<Duration> first;
  const auto on_provider = [&](const dht::Provider& provider) {
    if (!first) first = std::chrono::steady_clock::now() - begin;
    const auto& addresses = provider.addresses;
    std::optional<registry::Peer> otherwise;
    if (addresses.size() > 1) otherwise = peer_at(provider, addresses[1]);
    return found->give(peer_at(provider, addresses[0]), std::move(otherwise));
  };
  const auto result = co_await node_.find_providers(std::move(key), on_provider);
  // A search that was given up before it found anybody says nothing.
  if (looked_up_ && (first || result.complete)) looked_up_(first);
}

void DhtRouter::give_up(const std::shared_ptr<Found>& found) {
  const auto lookup = lookups_.find(found.get());
  if (lookup != lookups_.end()) lookup->second->cancel();
}

registry::Peer DhtRouter::peer_at(const dht::Provider& provider,
                                  const asio::ip::address& place) const {
  const asio::ip::tcp::endpoint address(place, peer_port_());
  return {
      .name = write_endpoint(address), .address = address, .identity = provider.peer.to_string()};
}

awaitable<Result<void>> DhtRouter::announce(std::vector<std::string> keys) {
  asio::post(control_, [this, keys = std::move(keys)] {
    if (!stopped_) node_.provide(keys);
  });
  co_return Result<void>();
}

awaitable<Result<void>> DhtRouter::withdraw(std::vector<std::string> keys) {
  asio::post(control_, [this, keys = std::move(keys)] {
    if (!stopped_) node_.withdraw(keys);
  });
  co_return Result<void>();
}

awaitable<void> DhtRouter::stop() {
  stopped_ = true;
  for (const auto& [found, lookup] : lookups_) lookup->cancel();
  co_await searches_.drain();
}

}  // namespace hagring::agent
