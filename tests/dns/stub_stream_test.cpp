// SPDX-License-Identifier: Apache-2.0
// The stub over TCP.
#include "tests/dns/stub_fixture.hpp"

namespace hagring::dns::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kServer = "127.0.0.2";
constexpr const char* kSecond = "127.0.0.3";

TEST_F(StubTest, RepeatsATruncatedAnswerOverTcp) {
  const std::string large(60'000, 'x');
  serve(kServer, [&](const Bytes& asked, bool tcp) {
    auto reply = response(asked, 0, tcp ? large : "");
    if (!tcp) reply[2] |= 0x02;
    return reply;
  });
  start({kServer});
  for (const auto* name : {kOther, kMirrored}) {
    const auto truncated = client(kServer).ask(query(name));
    ASSERT_FALSE(truncated.empty());
    EXPECT_NE(truncated[2] & 0x02, 0);
    EXPECT_EQ(client(kServer, Transport::tcp).ask(query(name)), response(query(name), 0, large));
  }
}

TEST_F(StubTest, TakesSeveralQueriesOnOneConnection) {
  serve(kServer, always(0));
  start({kServer});
  auto asking = client(kServer, Transport::tcp);
  asking.send(query(kOther));
  asking.send(query(kMirrored, kAaaa));
  EXPECT_EQ(asking.receive(), response(query(kOther), 0, "from the server"));
  EXPECT_EQ(asking.receive(), response(query(kMirrored, kAaaa), 0, "from the server"));
}

TEST_F(StubTest, AnswersOverTcpTooWhereServersFail) {
  options_.patience = 200ms;
  serve(kServer, silence());
  serve(kSecond, always(3));
  start({kServer, kSecond, "127.0.0.4"});
  for (const auto* server : {kServer, kSecond, "127.0.0.4"}) {
    EXPECT_TRUE(
        is_invented(client(server, Transport::tcp).ask(query(kMirrored)), query(kMirrored)));
  }
  EXPECT_EQ(invented(NoAnswer::silent), 1U);
  EXPECT_EQ(invented(NoAnswer::nx_domain), 1U);
  EXPECT_EQ(invented(NoAnswer::unreachable), 1U);
}

TEST_F(StubTest, EndsTheConnectionWhereTheServerGivesNoAnswer) {
  client_timeout_ = 100ms;
  serve(kServer, silence());
  start({kServer, "127.0.0.4"});
  for (const auto* server : {kServer, "127.0.0.4"}) {
    EXPECT_TRUE(client(server, Transport::tcp).ask(query(kOther)).empty());
  }
  EXPECT_EQ(counters().unanswered, 2U);
}

TEST_F(StubTest, EndsConnectionsThatSayNothingOrNonsense) {
  options_.idle_limit = 100ms;
  start({kServer});
  auto idle = client(kServer, Transport::tcp);
  EXPECT_TRUE(idle.receive().empty());
  auto nonsense = client(kServer, Transport::tcp);
  nonsense.send(Bytes(3));
  EXPECT_TRUE(nonsense.receive().empty());
  EXPECT_EQ(counters().dropped, 1U);
}

TEST_F(StubTest, ANewConnectionTakesTheLongestIdleOnesPlace) {
  options_.max_connections = 2;
  serve(kServer, always(0));
  start({kServer});
  auto first = client(kServer, Transport::tcp);
  EXPECT_FALSE(first.ask(query(kOther)).empty());
  auto second = client(kServer, Transport::tcp);
  EXPECT_FALSE(second.ask(query(kOther)).empty());
  EXPECT_FALSE(first.ask(query(kOther)).empty());
  auto third = client(kServer, Transport::tcp);
  EXPECT_FALSE(third.ask(query(kOther)).empty());
  EXPECT_TRUE(second.receive().empty());
  EXPECT_FALSE(first.ask(query(kOther)).empty());
}

TEST_F(StubTest, BoundsConnectionsThatAreBusy) {
  options_.max_connections = 1;
  client_timeout_ = 60s;
  serve(kServer, silence());
  start({kServer});
  auto first = client(kServer, Transport::tcp);
  first.send(query(kOther));
  while (counters().queries < 1) std::this_thread::yield();
  auto second = client(kServer, Transport::tcp);
  EXPECT_TRUE(second.ask(query(kOther)).empty());
  EXPECT_EQ(counters().dropped, 1U);
}

}  // namespace
}  // namespace hagring::dns::test
