// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <unordered_set>
#include <vector>

#include "dht/kad/doorbell.hpp"
#include "dht/kad/region.hpp"

namespace hagring::kad {

/// How keys are told to peers.
struct AnnouncementOptions {
  std::size_t k = 20;        ///< peers that each key is told to
  std::size_t peers = 16;    ///< told at once; those that stall don't count
  std::size_t batch = 1000;  ///< keys on one stream
  Duration limit = std::chrono::seconds(10);
  Duration stall_after = std::chrono::seconds(1);
};

/// Tells keys to the k nearest peers of each, all that one peer gets on one stream. In the place of
/// a peer that fails or stalls the next nearest is told.
class Announcement {
 public:
  struct Item {
    Key key;
    Bytes wire_key;
    std::uint16_t told_to = 0;                ///< how many took it
    std::vector<const PeerInfo*> peers = {};  ///< that are still to be told, nearest last
  };

  Announcement(asio::any_io_executor executor, Clock& clock, Rpc& rpc, TableKeeper& keeper,
               PeerInfo self, AnnouncementOptions options);

  /// Tells `items` to those of `region`. Once. Ends soon after it is cancelled. Peers that stall
  /// aren't waited for: one that has vanished must not hold up what is to be told next.
  awaitable<std::vector<Item>> tell(std::vector<Item> items, Region region);

  /// Whether tell() has left peers that stall: run_on() must follow.
  bool under_way() const { return tasks_.size() > 0; }
  /// Waits for them: some are only slow, the others are struck off the table.
  awaitable<void> run_on();

 private:
  struct Batch {
    const PeerInfo* peer = nullptr;
    std::vector<Item*> items = {};
  };
  struct Tell {
    Batch batch;
    bool in_flight = true;  ///< else it stalls or has ended
  };

  std::vector<Batch> next_batches();
  bool start_tells();
  awaitable<void> send(Tell& tell);
  awaitable<void> watch(Tell& tell);
  Message message(const Item& item) const;

  Clock& clock_;
  Rpc& rpc_;
  TableKeeper& keeper_;
  PeerInfo self_;
  AnnouncementOptions options_;
  Region region_;
  std::vector<Item> items_;
  std::vector<Batch> waiting_;
  std::list<Tell> tells_;
  std::size_t in_flight_ = 0;
  std::size_t outstanding_ = 0;  ///< those that stall included
  std::unordered_set<PeerId> failed_;
  Doorbell changed_;
  TaskGroup tasks_;
};

}  // namespace hagring::kad
