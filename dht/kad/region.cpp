// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/region.hpp"

#include <algorithm>

#include "dht/kad/preimage.hpp"

namespace hagring::kad {
namespace {

/// A region has up to twice k peers or so and needs two to four searches; liars get no more.
constexpr std::size_t kMaxSearches = 12;
/// Deeper places are too dear to make a wire key for.
constexpr std::size_t kMaxMadeBits = 12;

}  // namespace

RegionSearch::RegionSearch(asio::any_io_executor executor, Clock& clock, Rpc& rpc,
                           TableKeeper& keeper, const RoutingTable& table, LookupOptions lookups)
    : executor_(executor),
      clock_(clock),
      rpc_(rpc),
      keeper_(keeper),
      table_(table),
      lookups_(lookups),
      k_(lookups.k) {
  lookups_.follow_up = false;
  // Some more than wanted, for when some of them don't take what they are told.
  lookups_.k = k_ + k_ / 4;
}

/// Adds the peers nearest to `target` to `region`. Returns the bits that the k-th of them shares
/// with it: everyone who shares more has been found.
awaitable<std::size_t> RegionSearch::search(Key target, Bytes wire_key, Region& region) {
  std::vector<PeerInfo> seeds = table_.nearest(target, lookups_.k);
  for (const auto& [key, peer] : region.peers) seeds.push_back(peer);
  Lookup lookup(executor_, clock_, rpc_, table_.self(), lookups_, keeper_.observer());
  const LookupResult result =
      co_await lookup.find_nearest(target, std::move(wire_key), std::move(seeds));
  for (const PeerInfo& peer : result.nearest) region.peers.emplace(Key::of(peer.id), peer);
  if (result.nearest.size() < k_) co_return 0;
  co_return common_prefix_length(target, Key::of(result.nearest[k_ - 1].id));
}

awaitable<Region> RegionSearch::around(Bytes wire_key) {
  Region region;
  region.place = Key::of(wire_key);
  region.bits = co_await search(region.place, std::move(wire_key), region);
  co_return region;
}

awaitable<Region> RegionSearch::complete(Region region, const OwnKeys& keys) {
  std::vector<Gap> gaps;
  if (region.peers.size() >= k_) {
    gaps.push_back({region.place.sibling(region.bits, Key()), region.bits + 1});
  }
  for (std::size_t searches = 1; !gaps.empty() && searches < kMaxSearches; ++searches) {
    if (co_await asked_to_stop()) break;
    const Gap gap = gaps.back();
    gaps.pop_back();
    Bytes wire_key = wire_key_in(gap, keys);
    const Key target = Key::of(wire_key);
    if (common_prefix_length(target, gap.start) < gap.bits) continue;
    const std::size_t shared = co_await search(target, std::move(wire_key), region);
    for (std::size_t bit = gap.bits; bit <= shared && bit < Key::kBits; ++bit) {
      gaps.push_back({target.sibling(bit, Key()), bit + 1});
    }
  }
  co_return region;
}

Bytes RegionSearch::wire_key_in(const Gap& gap, const OwnKeys& keys) {
  const auto own = keys.lower_bound(gap.start.first_with_prefix(gap.bits));
  if (own != keys.end() && common_prefix_length(own->first, gap.start) >= gap.bits) {
    return own->second.wire_key;
  }
  return wire_key_near(gap.start, std::min(gap.bits, kMaxMadeBits));
}

}  // namespace hagring::kad
