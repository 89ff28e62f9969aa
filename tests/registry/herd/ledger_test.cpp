// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "registry/herd/batch.hpp"
#include "tests/registry/herd/samples.hpp"
#include "userspace/base/hasher.hpp"

namespace hagring::herd {
namespace {

/// Signs with a hash over the node's name: only who is asked for as `self` can sign as it.
class NamedNotary final : public Notary {
 public:
  explicit NamedNotary(NodeId self) : self_(std::move(self)) {}
  Bytes sign(ByteView bytes) override { return of(self_, bytes); }
  bool verify(const NodeId& node, ByteView bytes, ByteView signature) override {
    ++verified;
    return std::ranges::equal(of(node, bytes), signature);
  }
  int verified = 0;

 private:
  static Bytes of(const NodeId& node, ByteView bytes) {
    return sha256(as_bytes(node + std::string(as_text(bytes))));
  }
  NodeId self_;
};

PieceHash piece(int number) { return hash_piece(as_bytes("piece " + std::to_string(number))); }

struct Node {
  explicit Node(const NodeId& name) : notary(name), ledger(sample_herd(), name, notary) {}
  NamedNotary notary;
  Ledger ledger;
};

/// Batches of the pieces 0 to `count` - 1 of stripe 0, fetched by `head`.
std::vector<Batch> fetch(Node& head, int count, int lie_at = -1, std::uint64_t epoch = 1) {
  std::vector<Batch> batches;
  for (int i = 0; i < count; ++i) {
    const auto hash = i == lie_at ? piece(1000 + i) : piece(i);
    auto more = head.ledger.fetched(epoch, 0, static_cast<std::uint64_t>(i), hash, i + 1 == count);
    batches.insert(batches.end(), more.begin(), more.end());
  }
  return batches;
}

TEST(HerdLedger, TheHeadSignsSixteenAtATimeAndTheRest) {
  Node head("head");
  const auto batches = fetch(head, 35);
  ASSERT_EQ(batches.size(), 3U);
  EXPECT_EQ(batches[0].hashes.size(), 16U);
  EXPECT_EQ(batches[2].first, 32U);
  EXPECT_EQ(batches[2].hashes.size(), 3U);
  EXPECT_EQ(*head.ledger.covering(0, 33), batches[2]);
  EXPECT_EQ(head.ledger.covering(0, 35), nullptr);
  EXPECT_EQ(head.ledger.covering(1, 0), nullptr);
}

TEST(HerdLedger, ARelayPassesOnWhatMatchesOnly) {
  Node head("head");
  Node relay("relay");
  relay.ledger.named("head");
  EXPECT_EQ(relay.ledger.check(0, 0, piece(0)), Verdict::unsigned_piece);
  for (const Batch& batch : fetch(head, 20)) {
    EXPECT_EQ(relay.ledger.take(*decode_batch(encode(batch))), Verdict::good);
  }
  EXPECT_EQ(relay.ledger.check(0, 0, piece(0)), Verdict::good);
  EXPECT_EQ(relay.ledger.check(0, 1, piece(7)), Verdict::wrong);
  EXPECT_EQ(relay.ledger.check(0, 19, piece(19)), Verdict::good);
  EXPECT_EQ(relay.ledger.check(0, 20, piece(20)), Verdict::unsigned_piece);
  EXPECT_EQ(relay.ledger.check(1, 0, piece(0)), Verdict::unsigned_piece);
  EXPECT_EQ(relay.ledger.signers(), std::vector<NodeId>{"head"});
}

TEST(HerdLedger, ABatchThatWasChangedIsNotTheHeads) {
  Node head("head");
  Node relay("relay");
  const Batch batch = fetch(head, 4)[0];
  for (int change = 0; change < 5; ++change) {
    Batch changed = batch;
    if (change == 0) changed.hashes[1] = piece(9);
    if (change == 1) changed.first = 4;
    if (change == 2) changed.head = "other";
    if (change == 3) changed.epoch = 2;
    if (change == 4) changed.stripe = 1;
    EXPECT_EQ(relay.ledger.take(changed), Verdict::bad_signature) << change;
  }
  NamedNotary notary("relay");
  Ledger of_another(sample_herd('b'), "relay", notary);
  EXPECT_EQ(of_another.take(batch), Verdict::bad_signature);
}

TEST(HerdLedger, AKnownBatchCostsNoVerification) {
  Node head("head");
  Node relay("relay");
  const Batch batch = fetch(head, 4)[0];
  EXPECT_EQ(relay.ledger.take(batch), Verdict::good);
  EXPECT_EQ(relay.ledger.take(batch), Verdict::good);
  EXPECT_EQ(relay.notary.verified, 1);
}

TEST(HerdLedger, BlameFallsOnTheHeadThatSignedAndNotOnThoseThatPassedItOn) {
  Node liar("liar");
  Node honest("honest");
  Node relay("relay");
  Node last("last");
  for (auto* node : {&relay, &last}) {
    node->ledger.named("liar");
    node->ledger.named("honest");
  }
  const Batch false_one = fetch(liar, 4, 2)[0];
  ASSERT_EQ(relay.ledger.take(false_one), Verdict::good);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(relay.ledger.check(0, static_cast<std::uint64_t>(i), i == 2 ? piece(1002) : piece(i)),
              Verdict::good);
  }
  // The head is replaced; what the relay holds of the former one it passes on with that one's word.
  const Batch true_one = fetch(honest, 8, -1, 2)[0];
  ASSERT_EQ(relay.ledger.take(true_one), Verdict::good);
  ASSERT_EQ(relay.ledger.check(0, 4, piece(4)), Verdict::good);
  ASSERT_EQ(relay.ledger.covering(0, 2)->head, "liar");
  ASSERT_EQ(relay.ledger.covering(0, 4)->head, "honest");
  for (const std::uint64_t i : {2UL, 4UL}) {
    ASSERT_EQ(last.ledger.take(*relay.ledger.covering(0, i)), Verdict::good);
  }
  EXPECT_EQ(last.ledger.check(0, 2, piece(1002)), Verdict::good);
  EXPECT_EQ(last.ledger.check(0, 4, piece(4)), Verdict::good);
  EXPECT_EQ(last.ledger.signers(), (std::vector<NodeId>{"honest", "liar"}));
  const auto words = last.ledger.testimony();
  ASSERT_EQ(words.size(), 2U);
  EXPECT_EQ(words[0]->head, "liar");
  EXPECT_EQ(words[1]->head, "honest");
  EXPECT_TRUE(honest.ledger.testimony().empty()) << "nobody accuses itself";
}

/// Threat: a parent that signs what it made up.
TEST(HerdLedger, PiecesOfAHeadThatNoOrderNamedAreNotTakenUntilOneDoes) {
  Node head("head");
  Node stranger("stranger");
  Node relay("relay");
  ASSERT_EQ(relay.ledger.take(fetch(stranger, 6, 5)[0]), Verdict::good);
  EXPECT_EQ(relay.ledger.check(0, 5, piece(1005)), Verdict::unknown_head);
  EXPECT_EQ(relay.ledger.check(0, 5, piece(77)), Verdict::wrong);
  relay.ledger.named("head");
  EXPECT_EQ(relay.ledger.check(0, 5, piece(1005)), Verdict::unknown_head);
  ASSERT_EQ(relay.ledger.take(fetch(head, 6)[0]), Verdict::good);
  EXPECT_EQ(relay.ledger.check(0, 5, piece(1005)), Verdict::unknown_head);
  EXPECT_EQ(relay.ledger.check(0, 5, piece(5)), Verdict::good);
  EXPECT_EQ(relay.ledger.covering(0, 5)->head, "head");
  EXPECT_EQ(relay.ledger.signers(), std::vector<NodeId>{"head"});
  EXPECT_EQ(relay.ledger.testimony().size(), 1U) << "what wasn't used says nothing";
  // The order was late.
  relay.ledger.named("stranger");
  EXPECT_EQ(relay.ledger.check(0, 4, piece(4)), Verdict::good);
}

TEST(HerdLedger, AParentCannotFillItWithBatches) {
  Node relay("relay");
  std::vector<std::unique_ptr<Node>> heads;
  std::size_t taken = 0;
  for (int i = 0; i < 50; ++i) {
    heads.push_back(std::make_unique<Node>("head " + std::to_string(i)));
    if (i < 20) relay.ledger.named("head " + std::to_string(i));
    taken += relay.ledger.take(fetch(*heads.back(), 16)[0]) == Verdict::good ? 1U : 0U;
  }
  EXPECT_EQ(taken, 8U);
  // Nor with such as nobody has named.
  Node made_up("made up");
  taken = 0;
  for (std::uint64_t i = 16; i < 48; ++i) {
    const auto batch = made_up.ledger.fetched(1, 0, i, piece(1), true)[0];
    taken += relay.ledger.take(batch) == Verdict::good ? 1U : 0U;
  }
  EXPECT_EQ(taken, 16U);
  relay.ledger.named("made up");
  EXPECT_EQ(relay.ledger.take(made_up.ledger.fetched(1, 0, 48, piece(1), true)[0]), Verdict::good);
  Node far("far");
  const auto ahead = far.ledger.fetched(1, 0, 1000, piece(1), true);
  EXPECT_EQ(relay.ledger.take(ahead[0]), Verdict::over_limit);
}

}  // namespace
}  // namespace hagring::herd
