// SPDX-License-Identifier: Apache-2.0
#include "tests/dht/net/hosts.hpp"

namespace hagring::dht {
namespace {

using namespace std::chrono_literals;
using test::kEcho;

/// Time stands still, so that no keep-alive ping tells anybody anything.
struct HostRestart : test::Hosts {
  HostRestart() { clock = &manual; }

  /// A host with the peer's identity, run by `on`, once it is connected to `to`.
  std::unique_ptr<Host> connected(asio::io_context& on, Host& to) {
    auto host = std::make_unique<Host>(on.get_executor(), manual, identity, dialer, options());
    host->serve(kEcho, [](Host::Inbound inbound) { return echo(std::move(inbound)); });
    host->start();
    const auto before = to.counters().connections;
    std::optional<Result<PeerId>> made;
    asio::co_spawn(
        on,
        [&]() -> awaitable<void> { made = co_await host->connect(to.endpoint(), std::nullopt); },
        [](const std::exception_ptr& error) { EXPECT_FALSE(error); });
    EXPECT_TRUE(wait_for([&] {
      on.restart();
      on.poll();
      return made && to.counters().connections == before + 1 && to.about(identity.peer_id());
    }));
    EXPECT_TRUE(made && *made);
    return host;
  }

  Identity identity = Identity::generate();
  asio::io_context frozen;  ///< of the peer as it was; run only when the test does so
};

TEST_F(HostRestart, PeerIsReachedAtOnceOnItsNewConnection) {
  auto& host = add();
  const auto before = connected(frozen, host);
  const auto after = connected(context, host);
  // What it had before swallows all and stays open.
  auto stream = run(host.open(identity.peer_id(), {}, kEcho));
  ASSERT_TRUE(stream);
  const auto back = exchange(**stream, "hello");
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(*back, "hello");
  EXPECT_EQ(host.counters().connections, 2U);
  manual.advance(2s);
  EXPECT_TRUE(wait_for([&] { return host.counters().connections == 1; }));
  EXPECT_TRUE(exchange(**stream, "again"));
  stop(*after);
  hagring::test::run(frozen, before->stop());
}

TEST_F(HostRestart, AConnectionThatAnswersIsKept) {
  auto& host = add();
  const auto one = connected(context, host);
  auto stream = run(host.open(identity.peer_id(), {}, kEcho));
  ASSERT_TRUE(stream);
  const auto other = connected(context, host);
  EXPECT_TRUE(exchange(**stream, "hello"));  // and the ping before it
  manual.advance(2s);
  EXPECT_TRUE(exchange(**stream, "again"));
  EXPECT_EQ(host.counters().connections, 2U);
  stop(*one);
  stop(*other);
}

}  // namespace
}  // namespace hagring::dht
