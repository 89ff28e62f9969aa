// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <random>

#include "tests/registry/mirror_fixture.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;
using test::Behaviour;

/// Several peers and an origin, of which any may break off, fall silent, refuse or lie, as the seed
/// says. The parameter is the seed; 0 is one that nobody has seen.
struct AnySource : MirrorTest, testing::WithParamInterface<unsigned> {
  AnySource() : MirrorTest(FirstByteTimes::Options{.unknown = 100ms}) {
    options.verify_whole = 300'000;
    options.held_tail = 50'000;
    fetcher_options.first_byte = 1s;
    peer_limits.stall = origin_limits.stall = 250ms;
    seed = GetParam() == 0 ? std::random_device()() : GetParam();
    random.seed(seed);
  }

  std::size_t below(std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
  }
  bool one_in(std::size_t n) { return below(n) == 0; }

  /// Fails somewhere in the middle of the content.
  Behaviour failing() {
    Behaviour how;
    if (one_in(4)) {
      how.status = one_in(2) ? 503U : 404U;
    } else if (one_in(5)) {
      how.stall_at = below(content.size() + 1);
    } else {
      how.cut_at = below(content.size() + 1);
      how.reset = one_in(2);
    }
    return how;
  }

  void make_peers() {
    for (auto left = 1 + below(4); left > 0; --left) {
      auto& peer = add_peer();
      if (one_in(5)) continue;  // it doesn't have it
      peer.add(content);
      const auto kind = below(3);
      if (kind == 0) honest_peer = true;
      if (kind == 1 || (kind == 2 && one_in(3))) peer.behaviour = failing();
      if (kind == 2 && !content.empty()) peer.behaviour.wrong_at = below(content.size());
      liar = liar || peer.behaviour.wrong_at.has_value();
    }
  }

  void make_origin() {
    origin.add(content);
    for (auto left = below(4); left > 0; --left) origin.turns.push_back(failing());
    origin.behaviour.ignores_range = one_in(4);
    origin_ends_well = !one_in(4);
    if (!origin_ends_well) origin.behaviour.status = 503;
  }

  /// Whether all of the content has come, and rightly.
  bool check(const Reply& reply, std::size_t first) {
    if (reply.status != 200 && reply.status != 206) return false;
    const auto right = content.substr(first);
    if (reply.error == error_code()) {
      EXPECT_TRUE(reply.body == right) << "complete, but wrong";
      return true;
    }
    EXPECT_LT(reply.body.size(), right.size());
    if (reply.aborted == aborted) {
      EXPECT_TRUE(right.starts_with(reply.body)) << "wrong, and the runtime was not told";
    } else {
      EXPECT_LE(reply.body.size(), right.size() - options.held_tail);
    }
    aborted = reply.aborted;
    return false;
  }

  unsigned seed = 0;
  std::mt19937 random;
  std::string content;
  bool honest_peer = false;
  bool liar = false;
  bool origin_ends_well = false;
  std::size_t aborted = 0;
};

TEST_P(AnySource, GivesWhatIsRightOrNotAllOfIt) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  constexpr std::size_t kSizes[] = {0, 1, 5'000, 200'000, 900'000, 900'000, 3'000'000};
  content = test::noise(kSizes[below(std::size(kSizes))], seed);
  make_peers();
  make_origin();
  const auto digest = origin.add(content);
  const auto tries = origin.turns.size() + 3;
  bool complete = false;
  std::size_t tried = 0;
  while (!complete && tried < tries) {
    ++tried;
    complete = check(get_blob(digest), 0);
  }
  EXPECT_TRUE(complete || !(origin_ends_well || (honest_peer && !liar)));
  for (const auto& peer : peers) {
    EXPECT_LE(peer.server.requests.size(), tried * options.attempts);
  }
  EXPECT_LE(origin.server.requests.size(), tried * (1 + fetcher_options.max_continuations));
}

TEST_P(AnySource, GivesWhatIsRightOfAPart) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  content = test::noise(1'000'000, seed);
  make_peers();
  for (auto& peer : peers) peer.behaviour.wrong_at.reset();  // parts can't be verified
  make_origin();
  const auto digest = origin.add(content);
  const auto tries = origin.turns.size() + 3;
  bool complete = false;
  for (std::size_t tried = 0; !complete && tried < tries; ++tried) {
    const auto first = 1 + below(content.size() - 1);
    complete = check(get_blob(digest, {{"Range", "bytes=" + std::to_string(first) + "-"}}), first);
  }
  EXPECT_TRUE(complete || !(origin_ends_well || honest_peer));
}

INSTANTIATE_TEST_SUITE_P(Mirror, AnySource, testing::Range(0U, 60U));

}  // namespace
}  // namespace hagring::registry
