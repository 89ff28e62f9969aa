// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/admin_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/support/run.hpp"
#include "userspace/base/socket_stream.hpp"

namespace hagring::agent {
namespace {

using testing::HasSubstr;
using Protocol = asio::local::stream_protocol;

struct AdminServerTest : testing::Test {
  AdminServerTest() { std::filesystem::create_directories(folder); }
  ~AdminServerTest() override { std::filesystem::remove_all(folder); }

  std::unique_ptr<AdminServer> make(const std::string& socket) {
    const auto page = [](std::string query) -> awaitable<PageAnswer> {
      if (query == "wrong") co_return PageAnswer{400, R"({"error":"wrong"})"};
      co_return PageAnswer{200, R"({"version":"test"})"};
    };
    auto server = std::make_unique<AdminServer>(context.get_executor(), socket,
                                                Pages{{"/status", page}, {"POST /act", page}});
    server->claim();
    return server;
  }

  std::string start_error(const std::string& socket) {
    try {
      make(socket);
    } catch (const StartError& error) {
      return error.what();
    }
    return "";
  }

  /// Sends `request` and reads until the server closes.
  awaitable<std::string> exchange(std::string request) {
    Protocol::socket socket(context);
    co_await socket.async_connect(Protocol::endpoint(path), kTuple);
    SocketStream stream(std::move(socket));
    stream.set_inactivity_limit(std::chrono::seconds(20));
    std::string answer;
    if (!co_await stream.write(as_bytes(request))) co_return answer;
    Bytes buffer(4096);
    while (const auto size = co_await stream.read_some(buffer)) {
      answer += as_text(ByteView(buffer).first(*size));
    }
    co_return answer;
  }

  std::string ask(std::string request) {
    auto server = make(path);
    server->start();
    auto answer = test::run(context, exchange(std::move(request)));
    test::run(context, server->stop());
    return answer;
  }

  asio::io_context context;
  std::string folder = testing::TempDir() + "hagring_admin_" + std::to_string(getpid());
  std::string path = folder + "/hagring.sock";
};

TEST_F(AdminServerTest, AnswersStatus) {
  const auto answer = ask("GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("200 OK"));
  EXPECT_THAT(answer, HasSubstr("{\"version\":\"test\"}"));
}

TEST_F(AdminServerTest, PagesGetTheQueryAndSayHowItWent) {
  const auto answer = ask("GET /status?wrong HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("400 Bad Request"));
  EXPECT_THAT(answer, HasSubstr(R"({"error":"wrong"})"));
}

TEST_F(AdminServerTest, RefusesOtherPagesMethodsAndNonsense) {
  EXPECT_THAT(ask("GET /etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              HasSubstr("404"));
  EXPECT_THAT(ask("DELETE /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              HasSubstr("405"));
  EXPECT_EQ(ask("\x16\x03\x01 garbage\r\n\r\n").find("200 OK"), std::string::npos);
}

TEST_F(AdminServerTest, SocketIsForRootOnlyAndGoesWithTheServer) {
  auto server = make(path);
  struct stat status{};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  server.reset();
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST_F(AdminServerTest, SecondAgentIsRefusedAndADeadOnesSocketReplaced) {
  auto server = make(path);
  EXPECT_THAT(start_error(path),
              HasSubstr("another agent (pid " + std::to_string(::getpid()) + ") holds"));
  server.reset();
  {
    Protocol::acceptor dead(context, Protocol::endpoint(path));  // leaves its file behind
  }
  EXPECT_EQ(start_error(path), "");
}

TEST_F(AdminServerTest, WhatAPostDoesAGetDoesNot) {
  const auto tail = std::string(" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(ask("POST /act" + tail), HasSubstr("200 OK"));
  EXPECT_THAT(ask("GET /act" + tail), HasSubstr("404"));
  EXPECT_THAT(ask("POST /status" + tail), HasSubstr("405"));
}

TEST_F(AdminServerTest, ASuccessorWaitsUntilThePathIsFree) {
  SystemClock clock;
  auto first = make(path);
  first->start();
  AdminServer second(context.get_executor(), path, {});
  EXPECT_FALSE(second.try_claim());
  EXPECT_FALSE(test::run(context, second.claim_within(clock, std::chrono::milliseconds(50))));
  const auto change = [&]() -> awaitable<bool> {
    co_await first->stop();
    co_return co_await second.claim_within(clock, std::chrono::seconds(20));
  };
  EXPECT_TRUE(test::run(context, change()));
  first.reset();
  EXPECT_TRUE(std::filesystem::exists(path)) << "the second one's by now";
}

TEST_F(AdminServerTest, OtherFilesAreNotTouched) {
  std::ofstream(path) << "mine";
  EXPECT_THAT(start_error(path), HasSubstr("something else is there"));
  EXPECT_EQ(std::filesystem::file_size(path), 4U);
  EXPECT_THAT(start_error(folder + "/" + std::string(120, 'x')), HasSubstr("at most 107"));
  EXPECT_THAT(start_error("/proc/no/such.sock"), HasSubstr("--admin-socket"));
}

}  // namespace
}  // namespace hagring::agent
