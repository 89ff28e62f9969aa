// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <unordered_map>
#include <vector>

#include "dht/kad/doorbell.hpp"
#include "dht/kad/key.hpp"
#include "dht/kad/provider_choice.hpp"
#include "dht/kad/rpc.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::kad {

/// How a lookup goes about it.
struct LookupOptions {
  std::size_t k = 20;     ///< how many nearest peers are wanted (kad-dht specification)
  std::size_t alpha = 3;  ///< queries in flight; those that stall don't count
  std::size_t beta = 3;   ///< the search has converged when this many of the nearest answered
  /// Ask the rest of the k nearest after that: certainty for some k more messages.
  bool follow_up = true;
  Duration query_limit = std::chrono::seconds(10);  ///< go-libp2p's read timeout
  Duration stall_after = std::chrono::milliseconds(500);
  Duration limit = std::chrono::seconds(60);
  /// What providers that are known without asking are given before the network is asked too: about
  /// what a caller waits for the first of them before it tries the next
  /// (registry::FirstByteTimes).
  Duration head_start = std::chrono::milliseconds(20);
  std::size_t max_queries = 200;  ///< liars can't keep a search busy for ever
};

/// What a lookup found and cost.
struct LookupResult {
  /// The nearest peers, nearest first, at most k; those that failed to answer are left out.
  std::vector<PeerInfo> nearest;
  std::size_t answers = 0;
  std::size_t failures = 0;
  std::size_t messages = 0;            ///< requests sent
  std::size_t rounds = 0;              ///< longest chain of requests that waited for each other
  std::size_t rounds_to_provider = 0;  ///< of the first provider's request
  std::size_t providers = 0;
  bool complete = false;  ///< it converged; else it was ended, or ran out of time
};

/// One iterative search through the key space (kad-dht specification, "Peer routing" and "Content
/// provider routing"). Runs on its caller's executor; cancelling the caller ends it soon.
class Lookup {
 public:
  /// Told of each provider as it is found, a few of each peer's at once and the rest in the end;
  /// once, or again with other addresses when peers name different ones. Returns whether more are
  /// wanted.
  using OnProvider = std::function<bool(const PeerInfo&)>;

  /// What the search's owner learns on the way, to keep its routing table.
  struct Observer {
    std::function<void(const PeerInfo&)> answered;
    std::function<void(const PeerInfo&)> failed;
    /// By the other peer, unchecked.
    std::function<void(const PeerInfo&, const PeerId& namer)> named;
  };

  Lookup(asio::any_io_executor executor, Clock& clock, Rpc& rpc, const PeerId& self,
         LookupOptions options, Observer observer);

  /// Searches the peers nearest to Key::of(wire_key), from `seeds` on.
  awaitable<LookupResult> find_nearest(Bytes wire_key, std::vector<PeerInfo> seeds);

  /// The same for a place in the key space of which no wire key is known: `wire_key` goes on the
  /// wire, and answers are ordered by `target`. Their distance is judged here alone.
  awaitable<LookupResult> find_nearest(Key target, Bytes wire_key, std::vector<PeerInfo> seeds);

  /// Searches those that provide `wire_key`; `held` are those that are known without asking. They
  /// are handed on first, and nobody is asked if the caller ends the search within `head_start`.
  awaitable<LookupResult> find_providers(Bytes wire_key, std::vector<PeerInfo> seeds,
                                         std::vector<PeerInfo> held, OnProvider on_provider);

 private:
  enum class State { named, asked, stalled, answered, failed };
  struct Candidate {
    PeerInfo peer;
    PeerId named_by;
    std::size_t round = 1;
    State state = State::named;
  };
  using Candidates = std::map<Key, Candidate>;  ///< by distance

  awaitable<LookupResult> search(Message request, Key target, std::vector<PeerInfo> seeds);
  awaitable<void> give_head_start();
  bool start_queries();
  Candidate* next_candidate(std::size_t& in_flight, bool& converged);
  awaitable<void> query(Candidate& candidate);
  void take_reply(const Candidate& from, const Message& reply);
  void take_candidate(const PeerInfo& peer, const PeerId& namer, std::size_t round);
  void hand_on(const std::vector<PeerInfo>& providers, std::size_t round);
  bool suspect(const Candidate& candidate) const;
  void finish();

  asio::any_io_executor executor_;
  Clock& clock_;
  Rpc& rpc_;
  PeerId self_;
  LookupOptions options_;
  Observer observer_;
  OnProvider on_provider_;
  Message request_;
  Key target_;
  Candidates candidates_;
  std::unordered_map<PeerId, std::size_t> dead_named_;  ///< by who named them
  ProviderChoice providers_;
  LookupResult result_;
  std::size_t outstanding_ = 0;
  bool enough_ = false;
  Doorbell changed_;
  TaskGroup tasks_;
};

}  // namespace hagring::kad
