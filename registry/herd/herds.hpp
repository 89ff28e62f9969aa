// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <boost/asio/thread_pool.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "registry/conduct.hpp"
#include "registry/herd/coordinator.hpp"
#include "registry/herd/evidence.hpp"
#include "registry/herd/finished_spools.hpp"
#include "registry/herd/neighbours.hpp"
#include "registry/herd/party.hpp"
#include "registry/herd/upload.hpp"
#include "registry/herd/worth.hpp"

namespace hagring::herd {

/// How this node takes part in herds.
struct HerdsOptions {
  SpoolBudget::Limits spools{};
  std::filesystem::path folder{};  ///< where spools are
  /// Blobs up to this size, and manifests, go to others only when they are whole.
  std::uint64_t small = 256UL * 1024;
  /// The zone whose herds this node joins; empty: the one of a mesh without zones.
  std::string zone{};
  /// What all children together are sent, in bytes a second; 0: no limit.
  std::uint64_t upload_limit = 0;
  /// For advice on what to do, whatever the logic's own time-outs say.
  Duration advice = std::chrono::seconds(7);
  /// Without a byte for so long a client leaves the herd and goes on by itself.
  Duration stall = std::chrono::seconds(10);
  std::size_t most_parties = 512;
  /// Of them, those for layers that no client has asked for yet (registry/herd/ahead.hpp).
  std::size_t most_ahead = 2;
  MemberOptions member{};
  CoordinatorOptions coordinator{};
};

/// Since the start. Any thread.
struct HerdCounters {
  std::atomic<std::uint64_t> fetch{0};  ///< advice that clients were given
  std::atomic<std::uint64_t> stream{0};
  std::atomic<std::uint64_t> holder{0};
  std::atomic<std::uint64_t> limited{0};
  std::atomic<std::uint64_t> alone{0};
  std::atomic<std::uint64_t> fetches{0};     ///< orders to ask the origin
  std::atomic<std::uint64_t> promotions{0};  ///< of them, those in mid-blob
  std::atomic<std::uint64_t> given_up{0};
  std::atomic<std::uint64_t> bytes_in{0};   ///< of pieces from parents
  std::atomic<std::uint64_t> bytes_out{0};  ///< of pieces to children
  std::atomic<std::uint64_t> children_refused{0};
};

/// All herds of this node: the parties that it takes part in, on the data threads, and those that
/// it coordinates, on the control thread, with the messages between them and other nodes.
class Herds {
 public:
  /// All of it outlives this.
  struct Parts {
    asio::any_io_executor control;
    Clock& clock;
    NodeId self;
    const Mesh& mesh;
    Neighbours& neighbours;
    Notary& notary;
    FinishedSpools& finished;
    registry::ContentStore& store;  ///< the runtime's
    registry::Conduct& conduct;
  };
  Herds(Parts parts, HerdsOptions options);

  /// On the control thread.
  void start();
  awaitable<void> stop();

  const HerdsOptions& options() const { return options_; }
  const NodeId& self() const { return parts_.self; }
  Notary& notary() { return parts_.notary; }
  const std::shared_ptr<Load>& load() const { return load_; }
  Worth& worth() { return worth_; }
  Upload& upload() { return upload_; }
  HerdCounters& counters() { return counters_; }
  const HerdCounters& counters() const { return counters_; }
  const SpoolBudget& spools() const { return *budget_; }

  // On any thread:
  /// The party for a blob, a new one if there is none; null: nobody else is there to share it with,
  /// or there are too many. `made`: it is new, and has a seat already.
  awaitable<std::shared_ptr<Party>> join(registry::MirrorParts& parts, Party::About about,
                                         bool& made);
  std::shared_ptr<Party> find(const HerdId& herd) const;
  /// Whether there may be one more party ahead of its client, for so many bytes: half of what
  /// spools may take stays for clients that are there.
  bool may_go_ahead(std::uint64_t size) const;
  void forget(const Party& party);
  void send(const Send& message);
  awaitable<std::optional<registry::Peer>> whereabouts(NodeId node);
  Result<std::shared_ptr<Spool>> make_spool(std::uint64_t size);
  void keep(const Digest& digest, std::shared_ptr<Spool> spool);
  /// The same of content in memory; whether there is room for it.
  bool keep(const Digest& digest, std::string_view content);

  /// What came on these words isn't what its digest says.
  void keep_evidence(const Digest& digest, Evidence::Words words);

  /// The runtime has `digest` now, and has verified it: whoever signed something else for it is
  /// found out. On the control thread.
  void committed(const Digest& digest);

  /// For the status page; on the control thread.
  struct Shown {
    std::string digest;
    std::string role;
    std::uint64_t size = 0;
    std::uint64_t pieces = 0;  ///< that are here
    std::size_t children = 0;
  };
  std::vector<Shown> shown() const;
  std::size_t coordinated() const { return coordinator_.herds(); }
  std::size_t finished() const { return parts_.finished.size(); }

 private:
  void receive(const NodeId& from, Message message);
  void pass_on(Outgoing outgoing);
  void deliver(const NodeId& from, Message message);
  void coordinator_lost(const NodeId& node);
  std::vector<std::shared_ptr<Party>> parties() const;
  /// The party that is to be joined from `home`, if there is one: what gives way is forgotten.
  std::shared_ptr<Party> find_for(const asio::any_io_executor& home, const Party::About& about);
  std::shared_ptr<Party> find_for_locked(const asio::any_io_executor& home,
                                         const Party::About& about);
  awaitable<void> keep_time();
  awaitable<void> convict(Digest digest, Evidence::Words words);

  const Parts parts_;
  const HerdsOptions options_;
  const std::shared_ptr<SpoolBudget> budget_;  ///< shared by all spools
  HerdCounters counters_;
  Worth worth_;
  Upload upload_;
  Evidence evidence_;
  const std::shared_ptr<Load> load_ = std::make_shared<Load>();  ///< shared by all parties
  mutable std::mutex mutex_;
  std::map<HerdId, std::shared_ptr<Party>> parties_;
  // On the control thread:
  Coordinator coordinator_;
  TaskGroup tasks_;
  asio::steady_timer timer_;
  std::map<NodeId, unsigned> answered_;  ///< orders for herds that this node has left, lately
  std::atomic<bool> stopped_ = false;
  std::optional<asio::thread_pool> reader_;  ///< made when something is to be read (convict)
};

}  // namespace hagring::herd
