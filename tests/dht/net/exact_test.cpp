// SPDX-License-Identifier: Apache-2.0
#include "dht/net/exact.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "dht/multiformats/varint.hpp"
#include "tests/dht/net/give_up.hpp"
#include "tests/support/memory_stream.hpp"
#include "tests/support/run.hpp"
#include "tests/support/told_to_stop.hpp"

namespace hagring::dht {
namespace {

struct Delimited : testing::Test {
  asio::io_context context;
  std::unique_ptr<ByteStream> peer, near;
  Delimited() { pipe(); }

  void pipe(std::size_t max_read = SIZE_MAX) {
    std::tie(peer, near) = hagring::test::make_memory_pipe(
        context.get_executor(), {.max_read = max_read, .capacity = std::size_t{1} << 20});
  }
  void send(ByteView bytes) { ASSERT_TRUE(hagring::test::run(context, peer->write(bytes))); }
  void send(std::size_t claimed, ByteView bytes) {
    Bytes length;
    append_varint(length, claimed);
    send(length);
    send(bytes);
  }
  Result<Bytes> receive(std::size_t max) {
    return hagring::test::run(context, read_delimited(*near, max));
  }
};

TEST_F(Delimited, ReadsWhatItWritesCutAnywhere) {
  pipe(3);
  for (const std::size_t size : {0, 1, 127, 128, 4095, 4096, 4097, 9000}) {
    Bytes message(size);
    for (std::size_t i = 0; i < size; ++i) message[i] = static_cast<std::uint8_t>(i * 31 >> 3);
    ASSERT_TRUE(hagring::test::run(context, write_delimited(*peer, message)));
    EXPECT_EQ(*receive(9000), message);
  }
}

TEST_F(Delimited, RefusesMoreThanIsAllowedBeforeItComes) {
  send(101, {});
  EXPECT_EQ(receive(100).error(), Errc::too_large);
}

TEST_F(Delimited, EndsALengthThatNeverEnds) {
  send(Bytes(100, 0xff));
  EXPECT_EQ(receive(SIZE_MAX).error(), Errc::bad_message);
  // Nine bytes decide it: no more was taken.
  Bytes rest(100);
  EXPECT_EQ(*hagring::test::run(context, near->read_some(rest)), 91U);
}

TEST_F(Delimited, TellsAnEndFromACut) {
  const auto sent = *from_hex("8001");  // 128 bytes are to come
  for (std::size_t size = 0; size <= sent.size(); ++size) {
    pipe();
    send(ByteView(sent).first(size));
    ASSERT_TRUE(hagring::test::run(context, peer->shutdown_write()));
    EXPECT_EQ(receive(1000).error(), size == 0 ? Errc::end_of_stream : Errc::truncated) << size;
  }
  pipe();
  send(10'000, Bytes(4096));
  ASSERT_TRUE(hagring::test::run(context, peer->shutdown_write()));
  EXPECT_EQ(receive(10'000).error(), Errc::truncated);
}

TEST_F(Delimited, CanBeGivenUpWhenTheRestNeverComes) {
  send(10, as_bytes("half"));
  EXPECT_EQ(test::give_up_on(context, read_delimited(*near, 100)), Errc::timed_out);
}

TEST_F(Delimited, EndsWhenToldToStopThoughBytesAreThere) {
  pipe(1);
  send(10, as_bytes("ten bytes."));
  EXPECT_EQ(hagring::test::when_told_to_stop(context, read_delimited(*near, 100)).error(),
            Errc::cancelled);
}

/// Yields its bytes, and notes how much room its reader had made ahead of them.
class CountedStream final : public ByteStream {
 public:
  explicit CountedStream(Bytes bytes) : bytes_(std::move(bytes)) {}

  awaitable<Result<std::size_t>> read_some(MutableBytes into) override {
    most_room = std::max(most_room, into.size());
    if (bytes_.empty()) co_return Errc::end_of_stream;
    const auto size = std::min(into.size(), bytes_.size());
    std::copy_n(bytes_.begin(), size, into.begin());
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(size));
    co_return size;
  }
  awaitable<Result<void>> write(ByteView) override { co_return Errc::unsupported; }
  awaitable<Result<void>> shutdown_write() override { co_return Errc::unsupported; }
  void close() override {}
  void set_inactivity_limit(Duration) override {}

  std::size_t most_room = 0;

 private:
  Bytes bytes_;
};

TEST_F(Delimited, MakesNoRoomForWhatAPeerMerelyClaims) {
  constexpr std::size_t kClaimed = std::size_t{4} << 20;
  Bytes sent;
  append_varint(sent, kClaimed);
  sent.resize(sent.size() + 10'000);
  CountedStream stream(std::move(sent));
  const auto got = hagring::test::run(context, read_delimited(stream, kClaimed));
  EXPECT_EQ(got.error(), Errc::truncated);
  EXPECT_LE(stream.most_room, 4096U);
}

}  // namespace
}  // namespace hagring::dht
