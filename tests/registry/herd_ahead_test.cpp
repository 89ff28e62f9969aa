// SPDX-License-Identifier: Apache-2.0
// Which layers a node gets before its client asks for them.
#include <fmt/core.h>

#include <algorithm>

#include "tests/registry/herd_fixture.hpp"

namespace hagring::herd {
namespace {

constexpr std::size_t kSize = 300UL * 1024;

/// An image of four layers; the coordinator has its members wait.
struct HerdAheadTest : HerdTest {
  explicit HerdAheadTest(SpoolBudget::Limits spools = {})
      : HerdTest({.spools = spools, .advice = std::chrono::milliseconds(700)}) {
    repositories["x"].credentials = {""};
    std::string named;
    for (const char byte : {'a', 'b', 'c', 'd'}) {
      layers.push_back(publish("x", std::string(kSize, byte)));
      named += fmt::format(R"({}{{"size":{},"digest":"{}"}})", named.empty() ? "" : ",", kSize,
                           layers.back().to_string());
    }
    auto manifest = registry::kManifest;
    manifest.replace(manifest.find("[]"), 2, "[" + named + "]");
    sizes.learn(publish("x", manifest), manifest);
    answer_joins(Wait{.epoch = 1});
  }
  bool joined(const Digest& layer) const {
    return std::ranges::any_of(mesh.sent, [&](const Message& message) {
      return message.herd.digest == layer && std::holds_alternative<Join>(message.body);
    });
  }

  std::vector<Digest> layers;
};

/// Of layers before it the runtime may have all that it wants.
TEST_F(HerdAheadTest, OnlyLayersAfterTheClientsAreFetchedAhead) {
  EXPECT_EQ(get_blob_of("x", layers[1]).status, 200U);
  EXPECT_TRUE(joined(layers[1]));
  EXPECT_TRUE(joined(layers[2]));
  EXPECT_FALSE(joined(layers[0]));
}

/// Runtimes ask in any order, for three at a time.
TEST_F(HerdAheadTest, LayersBeforeThoseOfABusyRuntimeAreFetchedAheadToo) {
  TaskGroup clients(context.get_executor(), "clients");
  for (std::size_t i = 1; i < layers.size(); ++i) {
    clients.spawn([this, path = blob_path("x", layers[i])]() -> awaitable<void> {
      EXPECT_EQ((co_await ask_concurrently("GET", path)).status, 200U);
    });
  }
  test::run(context, clients.drain());
  EXPECT_TRUE(joined(layers[0]));
}

/// The client comes when a part of its layer is here, and a peer has the whole.
struct CameAheadTest : HerdTest {
  CameAheadTest() : HerdTest({.small = 1024, .advice = std::chrono::milliseconds(700)}) {}
};

TEST_F(CameAheadTest, IsReadFromTheHerdNotFromAPeerOnceMore) {
  repositories["x"].credentials = {""};
  const auto asked_for = publish("x", test::noise(4096, 1));
  const auto content = test::noise(4096, 2);
  const auto next = publish("x", content);
  auto& peer = add_peer();
  peer.add(content);
  auto manifest = registry::kManifest;
  manifest.replace(manifest.find("[]"), 2,
                   fmt::format(R"([{{"size":4096,"digest":"{}"}},{{"size":4096,"digest":"{}"}}])",
                               asked_for.to_string(), next.to_string()));
  sizes.learn(publish("x", manifest), manifest);
  other.server.handler = [&](http::Connection& connection, http::Request) {
    return send_stripe(connection, content, "head", content);
  };
  mesh.answer = [&](const Body& body) -> std::optional<Body> {
    const auto* join = std::get_if<Join>(&body);
    if (join == nullptr) return std::nullopt;
    return join->may_fetch ? Body(Wait{.epoch = 1}) : Body(stream_from_other("head"));
  };
  EXPECT_EQ(get_blob_of("x", asked_for).status, 200U);
  ASSERT_TRUE(herd_part.find({.digest = next})) << "ahead of its client";
  EXPECT_EQ(get_blob_of("x", next).body, content);
  EXPECT_EQ(peer.server.count("GET", next.to_string()), 0);
  EXPECT_EQ(last_pull().source, registry::PullSource::herd);
}

struct SmallBudgetTest : HerdAheadTest {
  SmallBudgetTest() : HerdAheadTest({.bytes = 3 * kSize}) {}
};

TEST_F(SmallBudgetTest, HalfOfItStaysForClients) {
  EXPECT_EQ(get_blob_of("x", layers[0]).status, 200U);
  EXPECT_TRUE(joined(layers[1]));
  EXPECT_FALSE(joined(layers[2]));
}

TEST_F(HerdAheadTest, GivesWayToEachClientOfAnotherThread) {
  unsigned given = 0;
  mesh.answer = [&](const Body& body) -> std::optional<Body> {
    const auto ahead = herd_part.find({.digest = layers[1]});
    if (std::holds_alternative<Join>(body) && ahead && given == 0) {
      const auto another = hung.get_executor();
      given = (ahead->gives_way(another) ? 1 : 0) + (ahead->gives_way(another) ? 1 : 0);
    }
    return Wait{.epoch = 1};
  };
  EXPECT_EQ(get_blob_of("x", layers[0]).status, 200U);
  mesh.answer = nullptr;  // what it refers to goes
  EXPECT_EQ(given, 2U) << "none of them goes alone";
}

}  // namespace
}  // namespace hagring::herd
