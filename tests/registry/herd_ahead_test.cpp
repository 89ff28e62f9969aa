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
