// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/telemetry_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/run.hpp"
#include "userspace/base/socket_stream.hpp"

namespace hagring::agent {
namespace {

using asio::ip::tcp;
using testing::HasSubstr;

struct TelemetryServerTest : testing::Test {
  TelemetryServerTest() { server.start(); }
  ~TelemetryServerTest() override { test::run(context, server.stop()); }

  awaitable<std::unique_ptr<ByteStream>> connect() {
    tcp::socket socket(context);
    co_await socket.async_connect(server.endpoint(), kTuple);
    auto stream = std::make_unique<SocketStream>(std::move(socket));
    stream->set_inactivity_limit(std::chrono::seconds(20));
    co_return std::move(stream);
  }

  awaitable<std::string> read_all(ByteStream& stream) {
    std::string answer;
    Bytes buffer(4096);
    while (const auto size = co_await stream.read_some(buffer)) {
      if (*size == 0) break;
      answer += as_text(ByteView(buffer).first(*size));
    }
    co_return answer;
  }

  awaitable<std::string> ask(std::string request) {
    auto stream = co_await connect();
    co_await stream->write(as_bytes(request));
    co_return co_await read_all(*stream);
  }

  asio::io_context context;
  SystemClock clock;
  TelemetryServer server{context.get_executor(),
                         clock,
                         {.listen = {asio::ip::address_v4::loopback(), 0},
                          .max_connections = 3,
                          .longest = std::chrono::milliseconds(300)},
                         {{"/livez", [](std::string) -> awaitable<PageAnswer> {
                             co_return PageAnswer{503, "tired\n", "text/plain"};
                           }}}};
};

TEST_F(TelemetryServerTest, AnswersItsPagesOnly) {
  const auto tail = std::string(" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const auto known = test::run(context, ask("GET /livez" + tail));
  EXPECT_THAT(known, HasSubstr("503 Service Unavailable"));
  EXPECT_THAT(known, HasSubstr("Content-Type: text/plain"));
  EXPECT_THAT(known, HasSubstr("tired"));
  EXPECT_THAT(test::run(context, ask("GET /status" + tail)), HasSubstr("404 Not Found"));
  EXPECT_THAT(test::run(context, ask("POST /livez" + tail)), HasSubstr("405"));
}

TEST_F(TelemetryServerTest, WhoStallsIsClosedAndKeepsNobodyOut) {
  const auto stall = [&]() -> awaitable<std::string> {
    std::vector<std::unique_ptr<ByteStream>> stalled;
    for (int i = 0; i < 3; ++i) {
      stalled.push_back(co_await connect());
      co_await stalled.back()->write(as_bytes("GET /li"));
    }
    // Three are all there may be; each is closed when its time is up.
    for (auto& one : stalled) co_await read_all(*one);
    co_return co_await ask("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  };
  EXPECT_THAT(test::run(context, stall()), HasSubstr("tired"));
}

TEST_F(TelemetryServerTest, APortThatIsTakenIsSaid) {
  try {
    TelemetryServer second(context.get_executor(), clock, {.listen = server.endpoint()}, {});
    FAIL() << "it began to listen";
  } catch (const StartError& error) {
    EXPECT_THAT(error.what(), HasSubstr("--metrics-listen 127.0.0.1:"));
    EXPECT_THAT(error.what(), HasSubstr("`off`"));
  }
}

}  // namespace
}  // namespace hagring::agent
