// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "dht/net/error.hpp"
#include "dht/net/exact.hpp"
#include "dht/net/host.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/run.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/racing_dialer.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::dht::test {

using namespace std::chrono_literals;

inline constexpr const char* kEcho = "/echo/1";

/// Dials addresses with plain sockets, and counts.
class DirectDialer final : public Dialer {
 public:
  awaitable<Result<asio::ip::tcp::socket>> dial(Destination destination) override {
    ++dials;
    if (stalls) {
      asio::steady_timer never(co_await asio::this_coro::executor, TimePoint::max());
      co_await never.async_wait(kTuple);
      co_return Errc::cancelled;
    }
    co_return co_await connector_.connect(*destination.preferred);
  }
  std::size_t dials = 0;
  bool stalls = false;  ///< as for an address that swallows packets

 private:
  SystemConnector connector_;
};

/// Hosts on loopback, in one io_context; stopped in order at the end.
class Hosts : public testing::Test {
 protected:
  using Stream = std::unique_ptr<ByteStream>;

  struct Node {
    Identity identity = Identity::generate();
    std::unique_ptr<Host> host;
  };

  ~Hosts() override {
    for (auto& node : nodes_) stop(*node->host);
    tasks.cancel();
    run(tasks.drain());
  }

  static HostOptions options() {
    HostOptions options;
    options.listen = {asio::ip::make_address("127.0.0.1"), 0};
    options.may_dial = [](const asio::ip::address&) { return true; };
    options.upgrade_limit = 5s;
    return options;
  }

  /// A host that listens and echoes.
  Host& add(HostOptions options = Hosts::options()) {
    auto node = std::make_unique<Node>();
    node->host = std::make_unique<Host>(context.get_executor(), *clock, node->identity, dialer,
                                        std::move(options));
    node->host->serve(kEcho, [](Host::Inbound inbound) { return echo(std::move(inbound)); });
    node->host->start();
    nodes_.push_back(std::move(node));
    return *nodes_.back()->host;
  }

  template <typename T>
  T run(awaitable<T> operation) {
    return hagring::test::run(context, std::move(operation), 10s);
  }
  void stop(Host& host) { run(host.stop()); }

  /// Runs what is under way until `condition` holds.
  bool wait_for(const std::function<bool()>& condition, Duration limit = 5s) {
    const auto end = std::chrono::steady_clock::now() + limit;
    context.restart();
    while (!condition() && std::chrono::steady_clock::now() < end) context.run_one_for(10ms);
    return condition();
  }

  Result<Stream> open(Host& from, Host& to, std::string protocol = kEcho) {
    return run(from.open(to.peer_id(), {Multiaddr::of(to.endpoint())}, std::move(protocol)));
  }
  Result<PeerId> connect(Host& from, const Host& to,
                         std::optional<PeerId> expected = std::nullopt) {
    return run(from.connect(to.endpoint(), std::move(expected)));
  }
  /// What comes back for `text`.
  Result<std::string> exchange(ByteStream& stream, std::string text) {
    return run(exchange_on(stream, std::move(text)));
  }
  static awaitable<Result<std::string>> exchange_on(ByteStream& stream, std::string text) {
    CO_CHECK(co_await stream.write(as_bytes(text)));
    Bytes back(text.size());
    CO_CHECK(co_await read_exactly(stream, back));
    co_return std::string(as_text(back));
  }
  static awaitable<void> echo(Host::Inbound inbound) {
    Bytes chunk(4096);
    while (true) {
      const auto size = co_await inbound.stream->read_some(chunk);
      if (!size || !co_await inbound.stream->write(ByteView(chunk).first(*size))) co_return;
    }
  }
  /// A socket to `host`, from 127.0.0.`from`, that isn't a host of ours.
  asio::ip::tcp::socket knock(const Host& host, unsigned from = 1) {
    asio::ip::tcp::socket socket(context);
    socket.open(asio::ip::tcp::v4());
    socket.bind({asio::ip::address_v4(0x7f000000 + from), 0});
    socket.connect(host.endpoint());
    return socket;
  }

  asio::io_context context;
  SystemClock system_clock;
  hagring::test::ManualClock manual;
  Clock* clock = &system_clock;  ///< or the other one, before the first host
  DirectDialer dialer;
  TaskGroup tasks{context.get_executor(), "test"};

 private:
  std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace hagring::dht::test
