// SPDX-License-Identifier: Apache-2.0
#include "dht/net/multistream.hpp"

#include <gtest/gtest.h>

#include "dht/net/error.hpp"
#include "dht/net/exact.hpp"
#include "tests/dht/net/both.hpp"
#include "tests/dht/net/give_up.hpp"
#include "tests/support/memory_stream.hpp"

namespace hagring::dht {
namespace {

const std::string kHeader = "\x13/multistream/1.0.0\n";

std::string token(const std::string& text) {
  return std::string(1, static_cast<char>(text.size() + 1)) + text + "\n";
}

/// A pipe whose reads return a byte at a time, so that every boundary is tried.
struct Multistream : testing::Test {
  asio::io_context context;
  std::unique_ptr<ByteStream> a, b;
  Multistream() {
    std::tie(a, b) = hagring::test::make_memory_pipe(context.get_executor(), {.max_read = 1});
  }

  Result<void> send(const std::string& text) {
    return hagring::test::run(context, a->write(as_bytes(text)));
  }
  std::string receive(ByteStream& from, std::size_t size) {
    Bytes bytes(size);
    EXPECT_TRUE(hagring::test::run(context, read_exactly(from, bytes)));
    return std::string(as_text(bytes));
  }
  Result<std::string> answer(std::vector<std::string> protocols) {
    return hagring::test::run(context, answer_protocol(*b, std::move(protocols)));
  }
};

TEST_F(Multistream, AgreesOnTheFirstProtocolThatBothSpeak) {
  const auto [proposed, answered] =
      test::both(context, propose_protocol(*a, {"/x/1", "/y/1", "/z/1"}),
                 answer_protocol(*b, {"/z/1", "/y/1"}));
  EXPECT_EQ(*proposed, "/y/1");
  EXPECT_EQ(*answered, "/y/1");
}

TEST_F(Multistream, SaysThatThereIsNoCommonProtocol) {
  const auto propose = [](ByteStream& stream) -> awaitable<Result<std::string>> {
    auto result = co_await propose_protocol(stream, {"/x/1"});
    stream.close();
    co_return result;
  };
  const auto [proposed, answered] = test::both(context, propose(*a), answer_protocol(*b, {"/y/1"}));
  EXPECT_EQ(proposed.error(), NetErrc::no_common_protocol);
  EXPECT_EQ(answered.error(), Errc::end_of_stream);
}

TEST_F(Multistream, LeavesWhatFollowsToTheNextLayer) {
  ASSERT_TRUE(send(kHeader + token("/echo/1") + "request"));
  EXPECT_EQ(*answer({"/echo/1"}), "/echo/1");
  EXPECT_EQ(receive(*b, 7), "request");
  EXPECT_EQ(receive(*a, kHeader.size() + 9), kHeader + token("/echo/1"));
}

TEST_F(Multistream, SendsALazyProposalWithTheFirstBytes) {
  auto lazy = propose_lazily(std::move(a), "/echo/1");
  EXPECT_TRUE(hagring::test::run(context, lazy->write(as_bytes("hi"))));
  EXPECT_EQ(*answer({"/echo/1"}), "/echo/1");
  EXPECT_EQ(receive(*b, 2), "hi");
  EXPECT_TRUE(hagring::test::run(context, b->write(as_bytes("ho"))));
  EXPECT_EQ(receive(*lazy, 2), "ho");
}

TEST_F(Multistream, TellsTheFirstLazyReadThatTheProtocolWasRefused) {
  auto lazy = propose_lazily(std::move(a), "/echo/1");
  const auto read = [](ByteStream& stream) -> awaitable<Result<std::size_t>> {
    Bytes into(1);
    auto result = co_await stream.read_some(into);
    stream.close();
    co_return result;
  };
  const auto [got, answered] = test::both(context, read(*lazy), answer_protocol(*b, {"/other/1"}));
  EXPECT_EQ(got.error(), NetErrc::no_common_protocol);
}

TEST_F(Multistream, RefusesMalformedTokens) {
  const std::pair<std::string, error_code> cases[] = {
      {token("/multistream/2.0.0"), Errc::bad_message},
      {std::string("\x00", 1), Errc::bad_message},
      {"\x03"
       "abc",
       Errc::bad_message},                              // no line end
      {std::string("\x80\x00", 2), Errc::bad_message},  // not the shortest varint
      {"\x81\x08", Errc::too_large},                    // 1025
      {std::string(10, '\xff'), Errc::bad_message},
      {kHeader.substr(0, 10), Errc::truncated},
  };
  for (const auto& [text, error] : cases) {
    std::tie(a, b) = hagring::test::make_memory_pipe(context.get_executor());
    ASSERT_TRUE(send(text));
    ASSERT_TRUE(hagring::test::run(context, a->shutdown_write()));
    EXPECT_EQ(answer({"/x"}).error(), error) << text;
  }
}

TEST_F(Multistream, EndsEndlessProposals) {
  std::string flight = kHeader;
  for (int i = 0; i < 100; ++i) flight += token("/no/" + std::to_string(i));
  ASSERT_TRUE(send(flight));
  EXPECT_EQ(answer({"/x"}).error(), NetErrc::no_common_protocol);
}

TEST_F(Multistream, RefusesAnswersThatAreNoneOrComeInAnotherOrder) {
  const std::pair<std::string, error_code> cases[] = {
      {token("/x/1") + kHeader, Errc::bad_message},      // the answer before the header
      {kHeader + kHeader, Errc::bad_message},            // the header twice
      {kHeader + token("/other/1"), Errc::bad_message},  // what nobody proposed
      {kHeader + token("/x/1").substr(0, 3), Errc::truncated},
      {kHeader + "\x81\x08", Errc::too_large},
      {kHeader, Errc::end_of_stream},
  };
  for (const auto& [text, error] : cases) {
    std::tie(a, b) = hagring::test::make_memory_pipe(context.get_executor());
    ASSERT_TRUE(send(text));
    ASSERT_TRUE(hagring::test::run(context, a->shutdown_write()));
    EXPECT_EQ(hagring::test::run(context, propose_protocol(*b, {"/x/1"})).error(), error) << text;

    std::tie(a, b) = hagring::test::make_memory_pipe(context.get_executor());
    ASSERT_TRUE(send(text));
    ASSERT_TRUE(hagring::test::run(context, a->shutdown_write()));
    auto lazy = propose_lazily(std::move(b), "/x/1");
    Bytes one(1);
    EXPECT_EQ(hagring::test::run(context, lazy->read_some(one)).error(), error) << text;
  }
}

TEST_F(Multistream, CanBeGivenUpInATokenThatNeverEnds) {
  ASSERT_TRUE(send(kHeader + "\x7f/and so on"));
  EXPECT_EQ(test::give_up_on(context, answer_protocol(*b, {"/x"})), Errc::timed_out);
}

}  // namespace
}  // namespace hagring::dht
