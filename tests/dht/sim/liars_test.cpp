// SPDX-License-Identifier: Apache-2.0
// A network in which one of six nodes answers with made-up peers. HAGRING_SIM_SEED repeats a run.
#include <gtest/gtest.h>

#include "dht/sim/peers.hpp"
#include "tests/dht/sim/seed.hpp"

namespace hagring::sim {
namespace {

using kad::Key;
using kad::Message;
using kad::PeerInfo;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint32_t kFirstLiar = 1'000'000;
constexpr std::uint32_t kFirstMadeUp = 2'000'000;

bool is_liar(const PeerInfo& peer) {
  for (std::uint32_t i = 0; i < 20; ++i) {
    if (peer.id == numbered_peer(kFirstLiar + i).id) return true;
  }
  return false;
}

/// Liars that are members of a network: they ask everybody, and when they are asked they name dead
/// peers that lie nearer to the target than any honest one.
class Liars {
 public:
  explicit Liars(Simulation& sim) : sim_(sim), tasks_(sim.executor(), "liars") {
    for (std::uint32_t i = 0; i < 20'000; ++i) {
      const PeerInfo peer = numbered_peer(kFirstMadeUp + i);
      made_up_.emplace(Key::of(peer.id), peer);
    }
    for (std::uint32_t i = 0; i < 20; ++i) {
      const PeerInfo liar = numbered_peer(kFirstLiar + i);
      sim.network().attach(liar.id, [this](const PeerInfo&, const Message& request) {
        return Result<std::optional<Message>>(answer(request));
      });
      rpcs_.push_back(sim.network().rpc(liar));
      tasks_.spawn([this, rpc = rpcs_.back().get()] { return intrude(*rpc); });
    }
  }

  ~Liars() {
    tasks_.cancel();
    EXPECT_TRUE(sim_.run_until([this] { return tasks_.size() == 0; }, minutes(1)));
  }

  bool made_up(const PeerInfo& peer) const { return made_up_.contains(Key::of(peer.id)); }

 private:
  std::optional<Message> answer(const Message& request) {
    if (request.type == kad::MessageType::add_provider) return std::nullopt;
    Message reply;
    reply.type = request.type;
    auto next = made_up_.lower_bound(Key::of(request.key));
    for (int i = 0; i < 10 && next != made_up_.begin(); ++i) --next;
    for (int i = 0; i < 20 && next != made_up_.end(); ++i, ++next) {
      reply.closer_peers.push_back(next->second);
    }
    return reply;
  }

  awaitable<void> intrude(kad::Rpc& rpc) {
    while (!co_await asked_to_stop()) {
      for (std::uint32_t number = 0; number < sim_.size(); ++number) {
        Message request;
        request.type = kad::MessageType::find_node;
        request.key = {1, 2, 3};
        (void)co_await rpc.ask(sim_.node(number)->identity().info, request, seconds(10));
        if (co_await asked_to_stop()) co_return;
      }
      co_await sim_.clock().sleep_for(seconds(60));
    }
  }

  Simulation& sim_;
  std::map<Key, PeerInfo> made_up_;
  std::vector<std::unique_ptr<kad::Rpc>> rpcs_;
  TaskGroup tasks_;
};

TEST(Liars, AreKeptOutAndHideNothing) {
  SimulationOptions options;
  options.nodes = 100;
  options.keys_per_node = 5;
  options.seed = test_seed();
  Simulation sim(options);
  ASSERT_TRUE(sim.grow());
  const Liars liars(sim);
  sim.run_for(seconds(5));
  std::size_t entries = 0;
  for (const SimNode* node : sim.up()) {
    entries +=
        static_cast<std::size_t>(std::ranges::count_if(node->kad().table().peers(), is_liar));
  }
  EXPECT_GE(entries, 100) << "the liars must be in to be a danger";
  EXPECT_TRUE(sim.provide());
  auto keys = sim.keys(500);
  auto searches = sim.search(keys);
  EXPECT_LE(keys.size(), 5) << "while they are in";
  EXPECT_LE(searches.first.quantile(0.9), 1000);
  sim.run_for(minutes(10));
  entries = 0;
  for (const SimNode* node : sim.up()) {
    for (const PeerInfo& peer : node->kad().table().peers()) {
      EXPECT_FALSE(liars.made_up(peer)) << "it has never answered";
      if (is_liar(peer)) ++entries;
    }
  }
  // They come back as often as they ask, until they are asked themselves: 0 to 31 with 90 seeds.
  EXPECT_LE(entries, 100) << "of 2,000 that there were";
  keys = sim.keys(500);
  searches = sim.search(keys);
  EXPECT_TRUE(keys.empty());
  EXPECT_LE(searches.rounds.mean(), 1);
  sim.run_for(minutes(16));  // in which every key is told again, now without them
  EXPECT_GE(sim.placed_right(sim.keys(200)), 0.95);
}

}  // namespace
}  // namespace hagring::sim
