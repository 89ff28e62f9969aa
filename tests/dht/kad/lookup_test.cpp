// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/lookup.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "dht/sim/network.hpp"
#include "dht/sim/peers.hpp"

namespace hagring::kad {
namespace {

using sim::numbered_peer;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// A full mesh of peers that all know each other, by hand.
class KadLookup : public testing::Test {
 protected:
  KadLookup() {
    for (std::uint32_t i = 1; i <= 100; ++i) up(i);
  }

  void up(std::uint32_t number) {
    network.attach(
        numbered_peer(number).id,
        [this, number](const PeerInfo&, const Message& request) { return reply(number, request); });
  }

  Result<std::optional<Message>> reply(std::uint32_t number, const Message& request) {
    Message answer;
    answer.type = request.type;
    if (liars.contains(number)) {
      answer.closer_peers = lies;
    } else {
      answer.closer_peers = nearest(Key::of(request.key), 20);
    }
    if (request.type == MessageType::get_providers) {
      answer.provider_peers = liars.contains(number) ? invented : providers;
    }
    return std::optional(answer);
  }

  static std::vector<PeerInfo> nearest(const Key& target, std::size_t count,
                                       std::uint32_t last = 100) {
    std::vector<PeerInfo> all;
    for (std::uint32_t i = 1; i <= last; ++i) all.push_back(numbered_peer(i));
    std::sort(all.begin(), all.end(), [&](const PeerInfo& a, const PeerInfo& b) {
      return nearer(target, Key::of(a.id), Key::of(b.id));
    });
    all.resize(count);
    return all;
  }

  LookupResult run(awaitable<LookupResult> search) {
    std::optional<LookupResult> result;
    TaskGroup group(context.get_executor(), "test");
    group.spawn([&]() -> awaitable<void> { result = co_await std::move(search); });
    clock.run_until([&] { return group.size() == 0; }, clock.now() + std::chrono::minutes(5));
    if (group.size() > 0) throw std::runtime_error("the lookup did not end");
    return *result;
  }

  Lookup lookup(LookupOptions options = {}) {
    return {context.get_executor(), clock, *rpc, numbered_peer(0).id, options, {}};
  }

  asio::io_context context;
  sim::SimClock clock{context};
  sim::SimNetwork network{clock, 7, {.wire = true}};
  std::unique_ptr<Rpc> rpc = network.rpc(numbered_peer(0));
  std::map<std::uint32_t, bool> liars;
  std::vector<PeerInfo> lies;
  std::vector<PeerInfo> providers;
  std::vector<PeerInfo> invented;  ///< that liars name as providers
  Bytes wanted = content_wire_key("sha256:aa");
};

TEST_F(KadLookup, FindsTheNearest) {
  Lookup search = lookup();
  const auto result = run(search.find_nearest(wanted, {numbered_peer(1)}));
  EXPECT_EQ(result.nearest, nearest(Key::of(wanted), 20));
  EXPECT_TRUE(result.complete);
  EXPECT_EQ(result.rounds, 2);
  EXPECT_LE(result.messages, 22);
}

TEST_F(KadLookup, WithoutFollowUpThreeAnswersAreEnough) {
  Lookup search = lookup({.follow_up = false});
  const auto result = run(search.find_nearest(wanted, {numbered_peer(1)}));
  EXPECT_EQ(result.nearest, nearest(Key::of(wanted), 20));
  EXPECT_LE(result.messages, 4);
}

TEST_F(KadLookup, OfNobodyEndsAtOnce) {
  Lookup search = lookup();
  const auto result = run(search.find_nearest(wanted, {}));
  EXPECT_TRUE(result.nearest.empty());
  EXPECT_EQ(result.messages, 0);
  Lookup dead = lookup();
  const auto before = clock.now();
  EXPECT_TRUE(run(dead.find_nearest(wanted, {numbered_peer(999)})).nearest.empty());
  EXPECT_EQ(clock.now() - before, seconds(10));
}

TEST_F(KadLookup, StreamsProvidersAndEndsWithEnough) {
  for (std::uint32_t i = 200; i < 210; ++i) providers.push_back(numbered_peer(i));
  providers.push_back(numbered_peer(200));
  providers.push_back(numbered_peer(0));
  std::vector<PeerInfo> seen;
  Lookup search = lookup();
  const auto result =
      run(search.find_providers(wanted, {numbered_peer(1)}, {}, [&](const PeerInfo& provider) {
        seen.push_back(provider);
        return seen.size() < 3;
      }));
  EXPECT_EQ(seen.size(), 3);
  EXPECT_EQ(result.messages, 1);
  EXPECT_EQ(result.rounds_to_provider, 1);
  EXPECT_FALSE(result.complete);
  seen.clear();
  Lookup all = lookup();
  run(all.find_providers(wanted, {numbered_peer(1)}, {}, [&](const PeerInfo& provider) {
    seen.push_back(provider);
    return true;
  }));
  EXPECT_EQ(seen.size(), 10) << "each once, and never ourselves";
}

TEST_F(KadLookup, AsksNobodyWhileThoseThatAreHeldDo) {
  providers = {numbered_peer(201)};
  std::vector<PeerInfo> seen;
  const auto on_provider = [&](const PeerInfo& provider) {
    seen.push_back(provider);
    return true;
  };
  TaskGroup group(context.get_executor(), "test");
  Lookup ended = lookup();
  group.spawn([&]() -> awaitable<void> {
    co_await ended.find_providers(wanted, {numbered_peer(1)}, {numbered_peer(200)}, on_provider);
  });
  clock.run_for(milliseconds(19));
  EXPECT_EQ(seen, std::vector{numbered_peer(200)}) << "at once";
  EXPECT_EQ(network.counters().requests, 0);
  group.cancel();
  clock.run_until([&] { return group.size() == 0; }, clock.now() + milliseconds(1));
  EXPECT_EQ(group.size(), 0);
  EXPECT_EQ(network.counters().requests, 0);
  // Who wants more has it soon after.
  seen.clear();
  Lookup search = lookup();
  run(search.find_providers(wanted, {numbered_peer(1)}, {numbered_peer(200)}, on_provider));
  EXPECT_EQ(seen, (std::vector{numbered_peer(200), numbered_peer(201)}));
  // Without any there is nothing to wait for.
  const auto before = clock.now();
  Lookup none = lookup();
  run(none.find_providers(wanted, {numbered_peer(1)}, {}, [](const PeerInfo&) { return false; }));
  EXPECT_LT(clock.now() - before, milliseconds(20));
}

TEST_F(KadLookup, ALiarsProvidersDontHideTheOthers) {
  // The first that is asked names very many that aren't there; all others name one that is.
  for (std::uint32_t i = 0; i < 256; ++i) invented.push_back(numbered_peer(10'000 + i));
  invented.push_back(numbered_peer(200));
  invented.back().addresses = numbered_peer(20'000).addresses;
  liars = {{1, true}};
  lies = nearest(Key::of(wanted), 20);
  providers = {numbered_peer(200)};
  std::vector<PeerInfo> seen;
  Lookup search = lookup();
  const auto result =
      run(search.find_providers(wanted, {numbered_peer(1)}, {}, [&](const PeerInfo& provider) {
        seen.push_back(provider);
        return true;
      }));
  const auto honest = std::ranges::find(seen, numbered_peer(200));
  EXPECT_LE(honest - seen.begin(), 4);
  EXPECT_EQ(result.providers, seen.size());
  EXPECT_EQ(seen.size(), 65 + 1) << "no peer has more of its own handed on";
  EXPECT_TRUE(result.complete);
}

TEST_F(KadLookup, DeadPeersDelayItByAStallOnly) {
  for (const PeerInfo& peer : nearest(Key::of(wanted), 5)) network.detach(peer.id);
  Lookup search = lookup();
  const auto before = clock.now();
  const auto result = run(search.find_nearest(wanted, {numbered_peer(1)}));
  EXPECT_LT(clock.now() - before, seconds(3));
  // Each peer names the five dead ones too, so 15 of its 20 are left.
  auto expected = nearest(Key::of(wanted), 20);
  expected.erase(expected.begin(), expected.begin() + 5);
  auto found = result.nearest;
  ASSERT_GE(found.size(), expected.size());
  found.resize(expected.size());
  EXPECT_EQ(found, expected);
}

TEST_F(KadLookup, ALiarsDeadPeersDontHoldIt) {
  // The dead that lie nearest to the target, of very many that a liar could make up.
  for (const PeerInfo& peer : nearest(Key::of(wanted), 60, 5000)) {
    if (!network.is_up(peer.id)) lies.push_back(peer);
  }
  liars = {{1, true}, {2, true}};
  Lookup search = lookup();
  const auto before = clock.now();
  const auto result =
      run(search.find_nearest(wanted, {numbered_peer(1), numbered_peer(2), numbered_peer(3)}));
  EXPECT_EQ(result.nearest, nearest(Key::of(wanted), 20));
  EXPECT_LT(clock.now() - before, seconds(25));
}

TEST_F(KadLookup, IsNotLoopedByPeersThatNameUs) {
  lies = {numbered_peer(0), numbered_peer(1), numbered_peer(2)};
  for (std::uint32_t i = 1; i <= 100; ++i) liars[i] = true;
  Lookup search = lookup();
  const auto result = run(search.find_nearest(wanted, {numbered_peer(1)}));
  EXPECT_EQ(result.messages, 2);
  EXPECT_EQ(result.nearest.size(), 2);
}

TEST_F(KadLookup, EndsAtItsLimit) {
  for (std::uint32_t i = 1; i <= 100; ++i) network.detach(numbered_peer(i).id);
  Lookup search = lookup({.limit = seconds(2)});
  const auto before = clock.now();
  const auto result = run(search.find_nearest(wanted, nearest(Key::of(wanted), 20)));
  EXPECT_EQ(clock.now() - before, seconds(2));
  EXPECT_FALSE(result.complete);
}

TEST_F(KadLookup, EndsWhenItsCallerIsCancelled) {
  for (std::uint32_t i = 1; i <= 100; ++i) network.detach(numbered_peer(i).id);
  Lookup search = lookup();
  TaskGroup group(context.get_executor(), "test");
  group.spawn([&]() -> awaitable<void> {
    co_await search.find_nearest(wanted, nearest(Key::of(wanted), 20));
  });
  clock.run_for(milliseconds(100));
  EXPECT_EQ(group.size(), 1);
  group.cancel();
  clock.run_for(milliseconds(1));
  EXPECT_EQ(group.size(), 0);
}

}  // namespace
}  // namespace hagring::kad
