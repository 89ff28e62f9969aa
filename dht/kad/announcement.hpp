// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <unordered_set>
#include <vector>

#include "dht/kad/region.hpp"

namespace hagring::kad {

/// How keys are told to peers.
struct AnnouncementOptions {
  std::size_t k = 20;        ///< peers that each key is told to
  std::size_t peers = 16;    ///< told at once
  std::size_t batch = 1000;  ///< keys on one stream
  Duration limit = std::chrono::seconds(10);
};

/// Tells keys to the k nearest peers of each, all that one peer gets on one stream. In the place of
/// a peer that fails the next nearest is told.
class Announcement {
 public:
  struct Item {
    Key key;
    Bytes wire_key;
    std::uint16_t told_to = 0;                ///< how many took it
    std::vector<const PeerInfo*> peers = {};  ///< that are still to be told, nearest last
  };

  Announcement(asio::any_io_executor executor, Rpc& rpc, TableKeeper& keeper, PeerInfo self,
               AnnouncementOptions options);

  /// Tells `items` to those of `region`. Ends soon after it is cancelled.
  awaitable<std::vector<Item>> tell(std::vector<Item> items, Region region);

 private:
  struct Batch {
    const PeerInfo* peer = nullptr;
    std::vector<Item*> items = {};
  };

  std::vector<Batch> next_batches(std::vector<Item>& items);
  awaitable<void> send(std::vector<Batch> batches);
  awaitable<void> work();
  Message message(const Item& item) const;

  asio::any_io_executor executor_;
  Rpc& rpc_;
  TableKeeper& keeper_;
  PeerInfo self_;
  AnnouncementOptions options_;
  std::vector<Batch> batches_;
  std::size_t running_ = 0;
  std::unordered_set<PeerId> failed_;
  asio::steady_timer done_;
  TaskGroup workers_;
};

}  // namespace hagring::kad
