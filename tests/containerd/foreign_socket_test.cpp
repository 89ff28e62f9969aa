// SPDX-License-Identifier: Apache-2.0
// What listens at containerd's socket isn't containerd.
#include <gtest/gtest.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>

#include "registry/containerd/cri_probe.hpp"
#include "registry/containerd/store.hpp"
#include "tests/containerd/daemon.hpp"
#include "tests/containerd/tiny_image.hpp"
#include "tests/support/run.hpp"

namespace hagring::containerd {
namespace {

using namespace std::chrono_literals;
using Socket = asio::local::stream_protocol::socket;

/// Listens and lets `serve` deal with each connection.
class ForeignSocketTest : public testing::Test {
 protected:
  void listen(std::function<awaitable<void>(Socket)> serve) {
    acceptor_.emplace(context_, asio::local::stream_protocol::endpoint(path_));
    tasks_.spawn([this, serve = std::move(serve)]() -> awaitable<void> {
      for (;;) {
        auto [error, socket] = co_await acceptor_->async_accept(kTuple);
        if (error) co_return;
        auto shared = std::make_shared<Socket>(std::move(socket));  // std::function copies
        tasks_.spawn([serve, shared] { return serve(std::move(*shared)); });
      }
    });
  }

  void TearDown() override {
    if (store_) test::run(context_, store_->stop());
    const auto end = [this]() -> awaitable<void> {
      if (acceptor_) acceptor_->close();
      tasks_.cancel();
      co_await tasks_.drain();
    };
    test::run(context_, end());
  }

  /// The first problem that a store has with this socket.
  std::string problem() {
    FollowerOptions options{.socket = path_};
    options.longest_retry = 100ms;
    store_ = std::make_unique<ContainerdStore>(context_.get_executor(), clock_, options, nullptr);
    store_->start();
    const auto end = clock_.now() + 20s;
    context_.restart();
    while (store_->state().problem.empty() && clock_.now() < end) context_.run_one_for(20ms);
    return store_->state().problem;
  }

  test::TemporaryFolder folder_;
  std::string path_ = folder_.path() / "c.sock";
  asio::io_context context_;
  SystemClock clock_;
  TaskGroup tasks_{context_.get_executor(), "foreign"};
  std::optional<asio::local::stream_protocol::acceptor> acceptor_;
  std::unique_ptr<ContainerdStore> store_;
};

awaitable<void> answer_as_nginx(Socket socket) {
  const std::string answer =
      "HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n";
  co_await asio::async_write(socket, asio::buffer(answer), kTuple);
}

awaitable<void> stay_silent(Socket socket) {
  char byte = 0;
  while (!std::get<0>(co_await socket.async_read_some(asio::buffer(&byte, 1), kTuple))) {
  }
}

awaitable<void> close_at_once(Socket) { co_return; }

TEST_F(ForeignSocketTest, HttpServerIsNamedAsTheProblem) {
  listen(answer_as_nginx);
  const auto text = problem();
  EXPECT_NE(text.find("does not answer as containerd"), std::string::npos) << text;
  EXPECT_NE(text.find(path_), std::string::npos);
  EXPECT_EQ(test::run(context_, store_->open(test::digest_of("any"))).error(), Errc::unavailable);
}

TEST_F(ForeignSocketTest, SilentServerIsGivenUpAfterADeadline) {
  listen(stay_silent);
  const auto text = problem();
  EXPECT_NE(text.find("does not answer as containerd"), std::string::npos) << text;
}

TEST_F(ForeignSocketTest, ServerThatHangsUpIsNamedAsTheProblem) {
  listen(close_at_once);
  const auto text = problem();
  EXPECT_NE(text.find("does not answer as containerd"), std::string::npos) << text;
}

TEST_F(ForeignSocketTest, MissingSocketIsNamedAsTheProblem) {
  const auto text = problem();
  EXPECT_NE(text.find("No such file or directory"), std::string::npos) << text;
  EXPECT_NE(text.find(path_), std::string::npos);
}

TEST_F(ForeignSocketTest, StopDoesNotWaitForASilentServer) {
  listen(stay_silent);
  store_ = std::make_unique<ContainerdStore>(context_.get_executor(), clock_,
                                             FollowerOptions{.socket = path_}, nullptr);
  store_->start();
  for (int i = 0; i < 20; ++i) context_.run_one_for(5ms);
  const auto begin = clock_.now();
  test::run(context_, store_->stop());
  store_.reset();
  EXPECT_LT(clock_.now() - begin, 2s);
}

TEST_F(ForeignSocketTest, ProbeSaysThatNobodyIsThere) {
  CriProbe probe(path_);
  EXPECT_EQ(test::run(context_, probe.pull("192.0.2.1/hagring/probe:1", 5s)).error(),
            Errc::unavailable);
  EXPECT_EQ(test::run(context_, probe.runtime_version()).error(), Errc::unavailable);
}

TEST_F(ForeignSocketTest, ProbeOfASilentServerTimesOut) {
  listen(stay_silent);
  CriProbe probe(path_);
  EXPECT_EQ(test::run(context_, probe.pull("192.0.2.1/hagring/probe:1", 300ms)).error(),
            Errc::timed_out);
}

}  // namespace
}  // namespace hagring::containerd
