// SPDX-License-Identifier: Apache-2.0
#include "registry/file_body.hpp"

#include <gtest/gtest.h>

#include <boost/asio/local/connect_pair.hpp>

#include "tests/support/memory_store.hpp"
#include "tests/support/memory_stream.hpp"
#include "tests/support/run.hpp"
#include "tests/support/told_to_stop.hpp"
#include "userspace/base/socket_stream.hpp"

namespace hagring::registry {
namespace {

using namespace std::chrono_literals;
using Streams = std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>>;

Streams make_socket_pair(asio::io_context& context) {
  asio::local::stream_protocol::socket a(context), b(context);
  asio::local::connect_pair(a, b);
  return {std::make_unique<SocketStream>(std::move(a)),
          std::make_unique<SocketStream>(std::move(b))};
}

/// The parameter: whether the stream is a plain socket.
struct FileBody : testing::TestWithParam<bool> {
  FileBody() : content(5'000'000, 'x') {
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * i >> 9);
    auto [near, far] =
        GetParam() ? make_socket_pair(context) : test::make_memory_pipe(context.get_executor());
    sender.emplace(std::move(near));
    receiver.emplace(std::move(far));
  }

  awaitable<Result<void>> send(std::uint64_t first, std::uint64_t length, std::uint64_t announced) {
    http::Response response;
    response.body = {http::BodyLength::Kind::length, announced};
    CO_CHECK(co_await sender->write_response(response));
    const auto done = co_await send_file(*sender, blob->file.get(), first, length, count);
    if (!done) sender->stream().close();
    co_return done;
  }

  /// What arrives while `send` runs.
  awaitable<Result<std::string>> receive() {
    CO_TRY(const auto response, co_await receiver->read_response("GET"));
    std::string all;
    Bytes buffer(100'000);
    while (true) {
      CO_TRY(const auto size, co_await receiver->read_body(buffer));
      if (size == 0) co_return all;
      all += as_text(ByteView(buffer).first(size));
    }
  }

  asio::io_context context;
  test::MemoryStore store;
  std::string content;
  std::optional<http::Connection> sender, receiver;
  std::optional<OpenBlob> blob;
  std::uint64_t sent = 0;
  BytesSent count = [this](std::uint64_t bytes) { sent += bytes; };
};

INSTANTIATE_TEST_SUITE_P(Streams, FileBody, testing::Bool(),
                         [](const auto& info) { return info.param ? "Sendfile" : "Copied"; });

TEST_P(FileBody, SendsAPartOfAFile) {
  blob = *test::run(context, store.open(store.add(content)));
  auto sending = asio::co_spawn(context, send(1000, 4'000'000, 4'000'000), asio::use_future);
  const auto received = test::run(context, receive());
  ASSERT_TRUE(received);
  EXPECT_TRUE(*received == content.substr(1000, 4'000'000));
  EXPECT_TRUE(sending.get());
  EXPECT_EQ(sent, 4'000'000U);
  EXPECT_TRUE(sender->reusable());
}

TEST_P(FileBody, AShorterFileBreaksTheBodyOff) {
  blob = *test::run(context, store.open(store.add(content)));
  auto sending = asio::co_spawn(context, send(0, 6'000'000, 6'000'000), asio::use_future);
  EXPECT_EQ(test::run(context, receive()).error(), Errc::bad_message);
  EXPECT_EQ(sending.get().error(), Errc::truncated);
  EXPECT_EQ(sent, content.size());
}

TEST_P(FileBody, EndsWhenNobodyReads) {
  blob = *test::run(context, store.open(store.add(content)));
  sender->stream().set_inactivity_limit(30ms);
  const auto result = test::run(context, send(0, content.size(), content.size()));
  EXPECT_EQ(result.error(), Errc::timed_out);
  EXPECT_LT(sent, content.size());
}

TEST_P(FileBody, EndsWhenToldToStopThoughTheReaderKeepsUp) {
  blob = *test::run(context, store.open(store.add(content)));
  auto receiving = asio::co_spawn(context, receive(), asio::use_future);
  EXPECT_EQ(test::when_told_to_stop(context, send(0, content.size(), content.size())).error(),
            Errc::cancelled);
  EXPECT_LT(sent, content.size());
  context.poll();
  EXPECT_FALSE(receiving.get());
}

TEST_P(FileBody, AReceiverThatHasGoneIsAnErrorAndNoSignal) {
  blob = *test::run(context, store.open(store.add(content)));
  http::Response response;
  response.body = {http::BodyLength::Kind::length, content.size()};
  ASSERT_TRUE(test::run(context, sender->write_response(response)));
  receiver.reset();
  EXPECT_FALSE(test::run(context, send_file(*sender, blob->file.get(), 0, content.size(), count)));
}

TEST_P(FileBody, MoreThanAnnouncedIsRefused) {
  blob = *test::run(context, store.open(store.add("ten bytes.")));
  EXPECT_EQ(test::run(context, send(0, 10, 5)).error(), Errc::bad_message);
}

TEST_P(FileBody, AnEmptyFileIsAnEmptyBody) {
  blob = *test::run(context, store.open(store.add("")));
  EXPECT_TRUE(test::run(context, send(0, 0, 0)));
  EXPECT_TRUE(sender->reusable());
}

}  // namespace
}  // namespace hagring::registry
