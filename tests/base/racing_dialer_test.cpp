// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/racing_dialer.hpp"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/run.hpp"
#include "userspace/base/deadline.hpp"

namespace hagring {
namespace {

using namespace std::chrono_literals;
using tcp = asio::ip::tcp;
using Strings = std::vector<std::string>;

tcp::endpoint at(const std::string& address, std::uint16_t port = 443) {
  return {asio::ip::make_address(address), port};
}

/// Answers from a list, or never.
struct FakeResolver : Resolver {
  Result<Addresses> answer = Errc::not_found;
  bool hangs = false;
  int asked = 0;

  awaitable<Result<Addresses>> resolve(std::string) override {
    ++asked;
    if (hangs) {
      SystemClock clock;
      co_await clock.sleep_for(1h);
      co_return Errc::cancelled;
    }
    co_return answer;
  }
};

/// Addresses that aren't listed hang like black holes.
struct FakeConnector : Connector {
  enum class Fate { hangs, refused, connects };
  std::map<std::string, Fate> fates;
  Strings tried;
  int hanging = 0;

  awaitable<Result<tcp::socket>> connect(tcp::endpoint to) override {
    const auto name = to.address().to_string();
    tried.push_back(name);
    switch (fates[name]) {
      case Fate::refused:
        co_return error_code(asio::error::connection_refused);
      case Fate::connects:
        co_return tcp::socket(co_await asio::this_coro::executor, tcp::v4());
      case Fate::hangs:
        break;
    }
    ++hanging;
    SystemClock clock;
    co_await clock.sleep_for(1h);
    --hanging;
    co_return Errc::cancelled;
  }
};

using Fate = FakeConnector::Fate;

struct RacingDialerTest : testing::Test {
  Result<tcp::socket> dial(Destination destination) {
    RacingDialer dialer(resolver, connector, options);
    return test::run(context, dialer.dial(std::move(destination)));
  }
  void resolves_to(const Strings& addresses) {
    Resolver::Addresses list;
    for (const auto& address : addresses) list.push_back(asio::ip::make_address(address));
    resolver.answer = list;
  }

  asio::io_context context;
  FakeResolver resolver;
  FakeConnector connector;
  RacingDialer::Options options{.head_start = 30ms, .attempt_delay = 20ms, .resolve_after = 10ms};
};

TEST_F(RacingDialerTest, PreferredAddressThatConnectsIsAllThatIsTried) {
  connector.fates["10.0.0.1"] = Fate::connects;
  EXPECT_TRUE(dial({at("10.0.0.1"), "registry.test"}));
  EXPECT_EQ(connector.tried, Strings{"10.0.0.1"});
  EXPECT_EQ(resolver.asked, 0);
}

TEST_F(RacingDialerTest, BlackHoleLosesToTheOtherFamilyAfterTheHeadStart) {
  resolves_to({"2001:db8::1", "2001:db8::2", "10.0.0.1"});
  connector.fates["10.0.0.1"] = Fate::connects;
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_TRUE(dial({at("2001:db8::1"), "registry.test"}));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 30ms);
  EXPECT_EQ(connector.tried, (Strings{"2001:db8::1", "10.0.0.1"}));
  EXPECT_EQ(connector.hanging, 0);  // the loser was closed
}

TEST_F(RacingDialerTest, FailureStartsTheNextAtOnce) {
  options.head_start = options.attempt_delay = options.resolve_after = 1h;
  resolves_to({"10.0.0.1", "10.0.0.2", "10.0.0.3"});
  connector.fates = {
      {"10.0.0.1", Fate::refused}, {"10.0.0.2", Fate::refused}, {"10.0.0.3", Fate::connects}};
  EXPECT_TRUE(dial({at("10.0.0.1"), "registry.test"}));
  EXPECT_EQ(connector.tried, (Strings{"10.0.0.1", "10.0.0.2", "10.0.0.3"}));
}

TEST_F(RacingDialerTest, FamiliesTakeTurnsBeginningWithTheResolversChoice) {
  resolves_to({"10.0.0.1", "10.0.0.2", "2001:db8::1", "10.0.0.3"});
  connector.fates["10.0.0.3"] = Fate::connects;
  EXPECT_TRUE(dial({{}, "registry.test"}));
  EXPECT_EQ(connector.tried, (Strings{"10.0.0.1", "2001:db8::1", "10.0.0.2", "10.0.0.3"}));
}

TEST_F(RacingDialerTest, AllRefusedGivesTheAddressesError) {
  resolves_to({"10.0.0.1"});
  connector.fates["10.0.0.1"] = Fate::refused;
  EXPECT_EQ(dial({{}, "registry.test"}).error(), asio::error::connection_refused);
  resolver.answer = Errc::not_found;
  EXPECT_EQ(dial({at("10.0.0.1"), "registry.test"}).error(), asio::error::connection_refused);
}

TEST_F(RacingDialerTest, DeadlineCoversAttemptsAndLookup) {
  options.deadline = 60ms;
  EXPECT_EQ(dial({at("10.0.0.1"), {}}).error(), Errc::timed_out);
  resolver.hangs = true;
  EXPECT_EQ(dial({{}, "registry.test"}).error(), Errc::timed_out);
}

TEST_F(RacingDialerTest, NameThatDoesNotResolveIsNotFound) {
  EXPECT_EQ(dial({{}, "registry.test"}).error(), Errc::not_found);
  EXPECT_EQ(dial({}).error(), Errc::not_found);
}

TEST_F(RacingDialerTest, RefusedAddressIsNeverDialledInAnyForm) {
  const auto ours = at("127.0.0.1", 9);
  options.refuses = [&](const tcp::endpoint& endpoint) { return endpoint == ours; };
  EXPECT_EQ(dial({ours, {}, 9}).error(), Errc::unavailable);
  EXPECT_EQ(dial({at("::ffff:127.0.0.1", 9), {}, 9}).error(), Errc::unavailable);
  EXPECT_EQ(dial({at("0.0.0.0", 9), {}, 9}).error(), Errc::unavailable);
  resolves_to({"127.0.0.1", "10.0.0.1"});
  connector.fates["10.0.0.1"] = Fate::connects;
  EXPECT_TRUE(dial({ours, "registry.test", 9}));
  EXPECT_EQ(connector.tried, Strings{"10.0.0.1"});
}

TEST_F(RacingDialerTest, NumberOfAddressesIsBounded) {
  options.max_addresses = 3;
  Strings many;
  for (int i = 1; i < 100; ++i) many.push_back("10.0.0." + std::to_string(i));
  resolves_to(many);
  for (const auto& address : many) connector.fates[address] = Fate::refused;
  EXPECT_FALSE(dial({{}, "registry.test"}));
  EXPECT_EQ(connector.tried.size(), 3U);
}

TEST_F(RacingDialerTest, CancellationClosesEveryAttempt) {
  SystemClock clock;
  resolves_to({"10.0.0.1", "10.0.0.2"});
  RacingDialer dialer(resolver, connector, options);
  const auto result =
      test::run(context, with_deadline(clock, 70ms, dialer.dial({{}, "registry.test"})));
  EXPECT_EQ(result.error(), Errc::timed_out);
  EXPECT_EQ(connector.tried.size(), 2U);
  EXPECT_EQ(connector.hanging, 0);
}

TEST_F(RacingDialerTest, RealSocketsAreSetUp) {
  tcp::acceptor acceptor(context, at("127.0.0.1", 0));
  SystemConnector real;
  RacingDialer dialer(resolver, real, {});
  auto socket = test::run(context, dialer.dial({acceptor.local_endpoint(), {}}));
  ASSERT_TRUE(socket) << socket.error().message();
  tcp::no_delay no_delay;
  asio::socket_base::keep_alive keep_alive;
  socket->get_option(no_delay);
  socket->get_option(keep_alive);
  EXPECT_TRUE(no_delay.value());
  EXPECT_TRUE(keep_alive.value());
}

}  // namespace
}  // namespace hagring
