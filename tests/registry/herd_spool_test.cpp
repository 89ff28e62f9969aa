// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/spool.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <future>
#include <thread>

#include "registry/herd/data_frame.hpp"
#include "registry/herd/finished_spools.hpp"
#include "registry/herd/worth.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/memory_store.hpp"
#include "tests/support/run.hpp"

namespace hagring::herd {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kSize = 5 * kPieceSize + 100;

Bytes piece_of(std::uint64_t number, std::size_t length = kPieceSize) {
  Bytes bytes(length);
  for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + number);
  return bytes;
}

struct SpoolTest : testing::Test {
  std::shared_ptr<SpoolBudget> budget =
      std::make_shared<SpoolBudget>(SpoolBudget::Limits{.bytes = 2 * kSize, .files = 2});
  std::filesystem::path folder = std::filesystem::temp_directory_path();

  std::shared_ptr<Spool> make(std::uint64_t size = kSize) {
    return Spool::create(folder, size, budget).value();
  }
  static void fill(Spool& spool, std::uint64_t piece) {
    ASSERT_TRUE(spool.put(piece, piece_of(piece, spool.length_of(piece))));
  }
};

TEST_F(SpoolTest, GivesBytesInOrderWhateverOrderTheyCameIn) {
  const auto spool = make();
  fill(*spool, 1);
  EXPECT_EQ(spool->reached(0), 0U);
  fill(*spool, 0);
  EXPECT_EQ(spool->reached(0), 2 * kPieceSize);
  Bytes got(3 * kPieceSize);
  const auto size = spool->read(10, got);
  ASSERT_TRUE(size);
  ASSERT_EQ(*size, 2 * kPieceSize - 10);
  EXPECT_EQ(got[0], piece_of(0)[10]);
  EXPECT_EQ(got[kPieceSize - 10], piece_of(1)[0]);
  EXPECT_FALSE(spool->whole());
  for (const std::uint64_t piece : {5, 4, 3, 2}) fill(*spool, piece);
  EXPECT_TRUE(spool->whole());
  EXPECT_EQ(spool->reached(kSize - 1), kSize);
}

TEST_F(SpoolTest, RefusesPiecesOfAnotherLengthOrPlace) {
  const auto spool = make();
  EXPECT_EQ(spool->put(0, piece_of(0, 10)).error(), Errc::bad_message);
  EXPECT_EQ(spool->put(5, piece_of(5)).error(), Errc::bad_message);
  EXPECT_EQ(spool->put(6, piece_of(6)).error(), Errc::bad_message);
  EXPECT_FALSE(spool->failure()) << "what others send must not end it";
}

TEST_F(SpoolTest, IsForOtherNodesOnlyWhatABatchCovers) {
  const auto spool = make();
  for (const std::uint64_t piece : {0, 1, 2, 3}) fill(*spool, piece);
  EXPECT_EQ(spool->have(), (PerStripe{2, 2}));
  EXPECT_EQ(spool->covered(), (PerStripe{0, 0}));
  const auto batch = std::make_shared<const Bytes>(Bytes{1, 2, 3});
  spool->cover(1, 0, 16, batch);
  EXPECT_EQ(spool->covered(), (PerStripe{0, 2}));
  EXPECT_EQ(spool->batch_of(3), batch);
  fill(*spool, 5);
  EXPECT_EQ(spool->covered(), (PerStripe{0, 3}));
}

TEST_F(SpoolTest, WakesWhoWaitsOnAnotherThread) {
  const auto spool = make();
  auto waited = std::async(std::launch::async, [&] {
    asio::io_context context;
    return test::run(context, spool->bell().wait(std::chrono::steady_clock::now() + 20s,
                                                 [&] { return spool->has(3); }));
  });
  for (const std::uint64_t piece : {0, 1, 2, 3}) fill(*spool, piece);
  EXPECT_TRUE(waited.get());
}

TEST_F(SpoolTest, WakesNobodyForABatchOfPiecesThatAreNotThere) {
  const auto spool = make();
  asio::io_context context;
  int looked = 0;
  const auto batch = std::make_shared<const Bytes>(1, 'b');
  const auto covered = [&] {
    ++looked;
    return spool->covered()[0] == 1;
  };
  test::run(context, [&]() -> awaitable<void> {
    TaskGroup group(co_await asio::this_coro::executor, "test");
    group.spawn([&]() -> awaitable<void> {
      EXPECT_TRUE(co_await spool->bell().wait(std::chrono::steady_clock::now() + 20s, covered));
    });
    while (looked == 0) co_await asio::post(kTuple);
    spool->cover(0, 0, 2, batch);
    for (int turn = 0; turn < 10; ++turn) co_await asio::post(kTuple);
    EXPECT_EQ(looked, 1);
    fill(*spool, 0);
    co_await group.drain();
  }());
  // The other way round: the batch comes after its piece.
  fill(*spool, 1);
  EXPECT_EQ(spool->covered()[1], 0U);
  spool->cover(1, 0, 1, batch);
  EXPECT_EQ(spool->covered()[1], 1U);
}

TEST_F(SpoolTest, WakesWhoWaitsWhenNoMoreComes) {
  const auto spool = make();
  auto waited = std::async(std::launch::async, [&] {
    asio::io_context context;
    return test::run(context, spool->bell().wait(std::chrono::steady_clock::now() + 20s, [&] {
      return spool->has(3) || spool->failure();
    }));
  });
  spool->fail(Errc::unavailable);
  EXPECT_TRUE(waited.get());
  EXPECT_EQ(spool->put(0, piece_of(0)).error(), Errc::unavailable);
}

TEST_F(SpoolTest, WaitsNoLongerThanToldTo) {
  const auto spool = make();
  asio::io_context context;
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(test::run(context, spool->bell().wait(begin + 20ms, [] { return false; })));
}

TEST_F(SpoolTest, KeepsToItsBudget) {
  auto one = make();
  EXPECT_EQ(budget->bytes(), kSize);
  EXPECT_EQ(Spool::create(folder, kSize + 1, budget).error(), Errc::too_large);
  auto two = make();
  EXPECT_EQ(Spool::create(folder, 0, budget).error(), Errc::too_large) << "too many files";
  one.reset();
  EXPECT_EQ(budget->bytes(), kSize);
  EXPECT_EQ(budget->files(), 1U);
  EXPECT_TRUE(Spool::create(folder, kSize, budget));
}

TEST_F(SpoolTest, NeedsTwiceItsSizeOnDisk) {
  const auto large =
      std::make_shared<SpoolBudget>(SpoolBudget::Limits{.bytes = kMaxBlob, .files = 2});
  EXPECT_EQ(Spool::create(folder, kMaxBlob, large).error(), Errc::too_large);
  EXPECT_EQ(large->bytes(), 0U);
}

/// They take space that the runtime needs for the same content.
TEST_F(SpoolTest, AllTogetherLeaveRoomOnDisk) {
  const auto disk = std::filesystem::space(folder);
  const auto quarter = disk.available / 4;
  const SpoolBudget::Limits none{.bytes = kMaxBlob, .files = 9, .reserve = 0, .reserve_percent = 0};
  const auto all = std::make_shared<SpoolBudget>(none);
  const auto first = Spool::create(folder, quarter, all);
  ASSERT_TRUE(first);
  const auto more = disk.available / 3;
  EXPECT_FALSE(Spool::has_room(folder, more, *all));
  EXPECT_EQ(Spool::create(folder, more, all).error(), Errc::too_large);
  auto reserving = none;
  reserving.reserve = disk.available;
  EXPECT_FALSE(Spool::has_room(folder, 1, SpoolBudget(reserving)));
  reserving = none;
  reserving.reserve_percent = 100;
  EXPECT_FALSE(Spool::has_room(folder, 1, SpoolBudget(reserving)));
}

/// A limit on the size of files does what a full disk does: writes fail.
TEST_F(SpoolTest, WriteThatFailsEndsIt) {
  const auto spool = make();
  fill(*spool, 0);
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{2 * kPieceSize, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto put = spool->put(3, piece_of(3));
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_FALSE(put);
  EXPECT_EQ(spool->failure(), put.error());
  EXPECT_EQ(spool->reached(0), kPieceSize) << "what is there stays";
}

TEST_F(SpoolTest, FinishedOneIsReadUntilTheRuntimeHasIt) {
  asio::io_context context;
  SystemClock clock;
  test::MemoryStore store;
  FinishedSpools finished(clock, 60s);
  StoreWithSpools both(store, finished);
  const auto spool = make(3);
  ASSERT_TRUE(spool->put(0, as_bytes("abc")));
  Hasher hasher(HashAlgorithm::sha256);
  hasher.update(as_bytes("abc"));
  const auto digest = Digest::of(HashAlgorithm::sha256, hasher);
  EXPECT_EQ(test::run(context, both.open(digest)).error(), Errc::not_found);
  finished.keep(digest, spool);
  const auto blob = test::run(context, both.open(digest));
  ASSERT_TRUE(blob);
  EXPECT_EQ(blob->size, 3U);
  char got[3];
  EXPECT_EQ(::pread(blob->file.get(), got, 3, 0), 3);
  EXPECT_EQ(std::string_view(got, 3), "abc");
  store.lose_sources(Errc::not_found);
  const auto sources = test::run(context, both.sources(digest));
  ASSERT_TRUE(sources) << "it came through the mirror";
  EXPECT_TRUE(sources->empty());
  finished.committed(digest);
  EXPECT_EQ(test::run(context, both.sources(digest)).error(), Errc::not_found);
  EXPECT_EQ(finished.size(), 0U);
  EXPECT_EQ(test::run(context, both.open(digest)).error(), Errc::not_found);
}

TEST(Worth, PausesAfterWaitsInVain) {
  test::ManualClock clock;
  Worth worth(clock, {.most_in_vain = 2, .pause = 60s});
  worth.in_vain();
  EXPECT_TRUE(worth.may_join());
  worth.useful();
  worth.in_vain();
  EXPECT_TRUE(worth.may_join()) << "not in a row";
  worth.in_vain();
  EXPECT_FALSE(worth.may_join());
  clock.advance(60s);
  EXPECT_TRUE(worth.may_join());
  worth.in_vain();
  EXPECT_FALSE(worth.may_join()) << "the first one after it is enough";
}

TEST(Worth, BelievesInALimitForAWhile) {
  test::ManualClock clock;
  Worth worth(clock, {.limited = 60s, .limited_again = 120s});
  EXPECT_TRUE(worth.believes_limit());
  clock.advance(59s);
  EXPECT_TRUE(worth.believes_limit());
  clock.advance(1s);
  EXPECT_FALSE(worth.believes_limit()) << "the node asks by itself";
  clock.advance(60s);
  EXPECT_TRUE(worth.believes_limit());
}

TEST(StripeRequest, IsReadAsItWasWritten) {
  for (const auto& request : {StripeRequest{}, StripeRequest{1, 12, "zone-a"}}) {
    EXPECT_EQ(parse_stripe_request(to_string(request)), request);
  }
  EXPECT_EQ(parse_stripe_request("stripe=1;next=12"), (StripeRequest{1, 12}));
}

TEST(StripeRequest, RefusesAnythingElse) {
  for (const auto* text :
       {"", "stripe=2;next=0", "stripe=0", "next=0", "stripe=;next=1", "stripe=0;next=-1",
        "stripe=0;next=99999999999999999999", "stripe=0;next=1;more=2", "stripe=0 ;next=1"}) {
    EXPECT_FALSE(parse_stripe_request(text)) << text;
  }
}

TEST(AboutFrame, IsReadAsItWasWritten) {
  for (const auto& about : {About{}, About{kSize, ""}, About{kMaxBlob, "a.test/x, ?b.test/y"}}) {
    EXPECT_EQ(decode_about(encode_about(about)).value(), about);
  }
}

TEST(AboutFrame, RefusesAnythingElse) {
  auto bytes = encode_about({.size = 7});
  bytes.push_back('x');
  EXPECT_FALSE(decode_about(bytes)) << "a mark that isn't one";
  EXPECT_FALSE(decode_about(Bytes(8))) << "too short";
  EXPECT_FALSE(decode_about(encode_about({.size = kMaxBlob + 1})));
  EXPECT_FALSE(decode_about(encode_about({.size = 1, .private_mark = std::string(1 << 20, 'x')})));
}

}  // namespace
}  // namespace hagring::herd
