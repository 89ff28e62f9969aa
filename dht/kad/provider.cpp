// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/provider.hpp"

#include <algorithm>
#include <memory>

namespace hagring::kad {
namespace {

/// How often it is looked whether the network has grown or our addresses have changed.
constexpr Duration kTick = std::chrono::seconds(30);
/// How often it is looked whether there is anybody to be told.
constexpr Duration kAlone = std::chrono::milliseconds(500);
/// Up to so many keys of a region are searched for one by one.
constexpr std::size_t kFewKeys = 2;
/// The network has grown enough to tell again when it is so much deeper: three to four times.
constexpr std::size_t kGrown = 2;

/// Waits double with each failure, up to 32 times.
Duration doubled(Duration wait, unsigned failures) { return wait * (1U << std::min(failures, 5U)); }

std::uint8_t next_failure(const OwnKey& own) {
  return static_cast<std::uint8_t>(std::min(own.failures + 1, 100));
}

}  // namespace

Provider::Provider(asio::any_io_executor executor, Clock& clock, Rng& rng, Rpc& rpc,
                   TableKeeper& keeper, const RoutingTable& table,
                   std::function<Addresses()> own_addresses, LookupOptions lookups,
                   ProviderOptions options)
    : executor_(executor),
      clock_(clock),
      rng_(rng),
      rpc_(rpc),
      keeper_(keeper),
      table_(table),
      own_addresses_(std::move(own_addresses)),
      lookups_(lookups),
      options_(options),
      hand_(table.self_key(), options.interval),
      bell_(executor, clock),
      tasks_(executor, "the provider") {}

void Provider::provide(std::vector<Bytes> wire_keys) {
  for (Bytes& wire_key : wire_keys) {
    const Key key = Key::of(wire_key);
    const auto [own, added] = keys_.try_emplace(key);
    if (!added) continue;
    if (const auto told = remembered_.extract(key)) own->second = told.mapped();
    own->second.wire_key = std::move(wire_key);
  }
  bell_.ring();
}

void Provider::withdraw(const std::vector<Bytes>& wire_keys) {
  for (const Bytes& wire_key : wire_keys) keys_.erase(Key::of(wire_key));
}

std::size_t Provider::untold() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      keys_, [](const auto& entry) { return entry.second.told == TimePoint(); }));
}

/// How many bits the smallest region around us that has k peers shares with us: the logarithm of
/// the network's size in units of k.
std::size_t Provider::depth() const {
  std::size_t peers = 0;
  for (std::size_t bits = table_.depth(); bits > 0; --bits) {
    peers += table_.bucket_count(bits - 1);
    if (peers >= lookups_.k) return bits - 1;
  }
  return 0;
}

/// Less than half of those that should have it were told.
bool Provider::is_known_to_few(const OwnKey& own) const {
  return std::size_t{2} * own.told_to < std::min(lookups_.k, table_.size());
}

/// When a key is to be told. Keys of a region have one time, that of the region's start.
TimePoint Provider::due(const Key& key, const OwnKey& own, std::size_t depth) const {
  if (own.told == TimePoint()) return own.not_before;
  TimePoint when = hand_.next_pass(key.first_with_prefix(depth), own.told + options_.fresh);
  if (is_known_to_few(own) || depth >= own.depth + kGrown) {
    when = std::min(when, own.told + doubled(options_.settle, own.failures));
  }
  return std::max(when, own.not_before);
}

/// The key that is due first: of `within`, or of all that is in nobody's hand.
Provider::Next Provider::next(const Claim* within) const {
  Next first;
  const std::size_t bits = depth();
  auto key = within ? keys_.lower_bound(within->start) : keys_.begin();
  for (; key != keys_.end(); ++key) {
    if (within && !within->covers(key->first)) break;
    const TimePoint when = due(key->first, key->second, bits);
    if (when >= first.when) continue;
    const auto has_it = [&](const Claim& claim) { return claim.covers(key->first); };
    if (!within && std::any_of(claims_.begin(), claims_.end(), has_it)) continue;
    first = {&key->first, when};
  }
  return first;
}

/// What was told without an address that we have now is as good as not told; one that went says
/// nothing new, and may be back in a moment. False while we have none.
bool Provider::notice_addresses() {
  const auto as_bytes_are = [](const Multiaddr& a, const Multiaddr& b) {
    return as_text(a.bytes()) < as_text(b.bytes());
  };
  addresses_ = own_addresses_();
  std::ranges::sort(addresses_, as_bytes_are);
  if (addresses_.empty()) return false;
  if (std::ranges::includes(told_addresses_, addresses_, as_bytes_are)) return true;
  for (auto& [key, own] : keys_) own.told = own.not_before = TimePoint();
  remembered_.clear();
  told_addresses_ = addresses_;
  return true;
}

awaitable<void> Provider::run() {
  while (!co_await asked_to_stop()) co_await bell_.sleep_until(start_due());
  tasks_.cancel();
  co_await tasks_.drain();
}

/// Takes in hand what is due; when to look again.
TimePoint Provider::start_due() {
  const TimePoint now = clock_.now();
  if (!notice_addresses() || table_.size() == 0) return now + (keys_.empty() ? kTick : kAlone);
  while (claims_.size() < options_.regions) {
    const Next first = next(nullptr);
    if (first.when > now) return std::min(first.when, now + kTick);
    const bool again = keys_.at(*first.key).told != TimePoint();
    if (again && next_repetition_ > now) return next_repetition_;
    if (again) {
      // After a time offline all is due at once: all nodes that come back mustn't flood the rest.
      next_repetition_ =
          now + std::chrono::duration_cast<Duration>(options_.pace * (0.5 + rng_.fraction()));
    }
    const std::size_t bits = depth();
    const Claim claim{first.key->first_with_prefix(bits), bits};
    claims_.push_back(claim);
    tasks_.spawn([this, claim] { return tell_claim(claim); });
  }
  return now + kTick;
}

awaitable<void> Provider::tell_claim(Claim claim) {
  while (!co_await asked_to_stop()) {
    const Next first = next(&claim);
    if (first.when > clock_.now()) break;
    if (!co_await tell_region(claim, keys_.at(*first.key).wire_key)) break;
  }
  std::erase(claims_, claim);
  bell_.ring();
}

/// Tells the key, and those near it that are due or nearly so. Whether anybody was told.
awaitable<bool> Provider::tell_region(Claim claim, Bytes wire_key) {
  RegionSearch search(executor_, clock_, rpc_, keeper_, table_, lookups_);
  Region region = co_await search.around(wire_key);
  if (co_await asked_to_stop()) co_return false;
  const Claim part{region.place, std::max(claim.bits, region.bits)};
  std::vector<Announcement::Item> items;
  const TimePoint soon = clock_.now() + options_.fresh;
  const std::size_t bits = depth();
  for (auto key = keys_.lower_bound(region.place.first_with_prefix(part.bits));
       key != keys_.end() && part.covers(key->first); ++key) {
    if (due(key->first, key->second, bits) <= soon) {
      items.push_back({key->first, key->second.wire_key});
    }
  }
  if (items.size() <= kFewKeys) {
    items = {{region.place, std::move(wire_key)}};
  } else {
    region = co_await search.complete(std::move(region), keys_);
  }
  const std::size_t peers = region.peers.size();
  auto announcement = std::make_unique<Announcement>(
      executor_, clock_, rpc_, keeper_, PeerInfo{table_.self(), addresses_},
      AnnouncementOptions{.k = lookups_.k,
                          .peers = options_.tells,
                          .batch = options_.batch,
                          .limit = options_.tell_limit});
  items = co_await announcement->tell(std::move(items), std::move(region));
  if (announcement->under_way()) {
    tasks_.spawn([waiting = std::move(announcement)] { return waiting->run_on(); });
  }
  if (co_await asked_to_stop()) co_return false;
  settle(items, peers);
  co_return std::ranges::any_of(items, [](const auto& item) { return item.told_to > 0; });
}

void Provider::settle(const std::vector<Announcement::Item>& items, std::size_t peers) {
  const TimePoint now = clock_.now();
  const std::size_t enough = std::max<std::size_t>(1, (std::min(lookups_.k, peers) + 1) / 2);
  for (const Announcement::Item& item : items) {
    const auto found = keys_.find(item.key);
    if (found == keys_.end()) continue;
    OwnKey& own = found->second;
    if (item.told_to >= enough) {
      own.told = now;
      own.told_to = item.told_to;
      own.depth = static_cast<std::uint16_t>(depth());
      own.failures = is_known_to_few(own) ? next_failure(own) : 0;
    } else {
      const Duration wait = doubled(options_.retry, own.failures);
      own.not_before = now + std::chrono::duration_cast<Duration>(wait * (0.5 + rng_.fraction()));
      own.failures = next_failure(own);
    }
  }
}

}  // namespace hagring::kad
