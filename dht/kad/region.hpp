// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <vector>

#include "dht/kad/own_keys.hpp"
#include "dht/kad/table_keeper.hpp"

namespace hagring::kad {

/// A part of the key space, all that shares `bits` bits with `place`, and peers in or near it.
struct Region {
  Key place;
  std::size_t bits = 0;
  std::map<Key, PeerInfo> peers;
};

/// Finds out who is in a region: the k nearest peers of each key in it are then known without a
/// search for each.
class RegionSearch {
 public:
  RegionSearch(asio::any_io_executor executor, Clock& clock, Rpc& rpc, TableKeeper& keeper,
               const RoutingTable& table, LookupOptions lookups);

  /// One search: the peers nearest to `wire_key`'s place, k and some to spare. The region is the
  /// smallest with k of them.
  awaitable<Region> around(Bytes wire_key);

  /// Searches what around() left out of the region, at places of `keys` where it can.
  awaitable<Region> complete(Region region, const OwnKeys& keys);

 private:
  struct Gap {
    Key start;
    std::size_t bits;
  };

  awaitable<std::size_t> search(Key target, Bytes wire_key, Region& region);
  static Bytes wire_key_in(const Gap& gap, const OwnKeys& keys);

  asio::any_io_executor executor_;
  Clock& clock_;
  Rpc& rpc_;
  TableKeeper& keeper_;
  const RoutingTable& table_;
  LookupOptions lookups_;
  std::size_t k_;
};

}  // namespace hagring::kad
