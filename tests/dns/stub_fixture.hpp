// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <memory>
#include <thread>

#include "tests/dns/fake_name_server.hpp"
#include "tests/dns/messages.hpp"
#include "userspace/dns/stub.hpp"

namespace hagring::dns::test {

/// The one mirrored name of these tests.
inline constexpr const char* kMirrored = "registry.test";
inline constexpr const char* kOther = "auth.test";

/// A client of one place of a stub, with blocking calls that give up after ten seconds.
class StubClient {
 public:
  StubClient(const std::string& loopback, std::uint16_t port, Transport transport);
  void send(const Bytes& message);
  /// The next message; empty when none came within `limit`, or the connection has ended.
  Bytes receive(std::chrono::milliseconds limit = std::chrono::seconds(10));
  Bytes ask(const Bytes& message) {
    send(message);
    return receive();
  }

 private:
  Transport transport_;
  UniqueFd fd_;
};

/// A stub on a thread of its own, and name servers at addresses of loopback.
class StubTest : public ::testing::Test {
 protected:
  using Answer = FakeNameServer::Answer;

  void SetUp() override { options_.port = free_port(); }
  void TearDown() override;

  FakeNameServer& serve(const std::string& address, Answer answer);
  /// Starts the stub with places for these servers. Once.
  void start(const std::vector<std::string>& servers);
  StubClient client(const std::string& server, Transport transport = Transport::udp);
  /// Runs `function` on the stub's thread.
  template <typename Function>
  auto on_thread(Function function) {
    std::packaged_task<decltype(function())()> task(std::move(function));
    auto result = task.get_future();
    asio::post(context_, std::move(task));
    return result.get();
  }
  StubCounters counters() {
    return on_thread([this] { return stub_->counters(); });
  }
  std::uint64_t invented(NoAnswer reason) {
    return counters().invented[static_cast<std::size_t>(reason)];
  }

  Stub::Options options_;
  Duration client_timeout_ = std::chrono::seconds(5);
  SystemClock clock_;
  DoubtfulNames doubtful_{clock_};
  asio::io_context context_{1};
  std::vector<std::unique_ptr<FakeNameServer>> servers_;
  std::unique_ptr<Stub> stub_;
  std::vector<std::pair<std::string, std::pair<std::uint16_t, std::uint16_t>>> ports_;
  std::thread thread_;
};

/// Always this response code, with a few bytes behind that only the server can know.
FakeNameServer::Answer always(std::uint8_t code, std::string_view rest = "from the server");
/// Never an answer.
FakeNameServer::Answer silence();

/// Whether `reply` is the stub's own answer to `query`, an A query without options.
bool is_invented(const Bytes& reply, const Bytes& query);

}  // namespace hagring::dns::test
