// SPDX-License-Identifier: Apache-2.0
// The stub over UDP.
#include <sys/resource.h>

#include "tests/dns/stub_fixture.hpp"

namespace hagring::dns::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kServer = "127.0.0.2";
constexpr const char* kSecond = "127.0.0.3";

TEST_F(StubTest, PassesEveryAnswerOnByteForByte) {
  std::vector<Bytes> seen;
  serve(kServer, [&](const Bytes& asked, bool) {
    seen.push_back(asked);
    return response(asked, asked[3] & 0x0f, std::string(3000, 'x'));
  });
  start({kServer});
  auto asking = client(kServer);
  for (const auto& asked : {query(kOther), query(kMirrored), query(kMirrored, kAaaa, true),
                            query("Registry.TEST"), query(kOther, kTxt, true), query("")}) {
    EXPECT_EQ(asking.ask(asked), response(asked, 0, std::string(3000, 'x')));
  }
  EXPECT_EQ(seen.size(), 6U);
  EXPECT_EQ(seen[2], query(kMirrored, kAaaa, true)) << "the query too";
  EXPECT_EQ(counters().passed_on, 6U);
}

TEST_F(StubTest, PassesWhatItDoesNotUnderstandOnAsWell) {
  serve(kServer, always(1));
  start({kServer});
  auto asking = client(kServer);
  auto strange = query(kMirrored);
  strange[5] = 2;  // two questions
  EXPECT_EQ(asking.ask(strange), response(strange, 1, "from the server"));
}

TEST_F(StubTest, AsksIpv6Servers) {
  serve("::1", always(0));
  start({"::1"});
  EXPECT_EQ(client("::1").ask(query(kOther)), response(query(kOther), 0, "from the server"));
}

struct Failure {
  std::uint8_t code;
  NoAnswer reason;
};

class FailureTest : public StubTest, public ::testing::WithParamInterface<Failure> {};

TEST_P(FailureTest, OfAMirroredNameIsNoAnswer) {
  serve(kServer, always(GetParam().code));
  start({kServer});
  auto asking = client(kServer);
  EXPECT_TRUE(is_invented(asking.ask(query(kMirrored)), query(kMirrored)));
  EXPECT_EQ(invented(GetParam().reason), 1U);
  const auto aaaa = query(kMirrored, kAaaa);
  EXPECT_EQ(asking.ask(aaaa), make_answer(aaaa, *parse_query(aaaa), {})) << "no IPv6 address";
  ASSERT_TRUE(doubtful_.contains(kMirrored));
  EXPECT_FALSE(doubtful_.find(kMirrored)->limit);
}

TEST_P(FailureTest, OfAnyOtherQuestionIsPassedOn) {
  serve(kServer, always(GetParam().code));
  start({kServer});
  auto asking = client(kServer);
  for (const auto& asked :
       {query(kOther), query(kMirrored, kTxt), query(std::string(kMirrored) + ".search.test")}) {
    EXPECT_EQ(asking.ask(asked), response(asked, GetParam().code, "from the server"));
  }
  EXPECT_EQ(counters().passed_on, 3U);
}

INSTANTIATE_TEST_SUITE_P(Codes, FailureTest,
                         ::testing::Values(Failure{2, NoAnswer::serv_fail},
                                           Failure{3, NoAnswer::nx_domain},
                                           Failure{5, NoAnswer::refused}),
                         [](const auto& info) {
                           return std::string(to_string(info.param.reason));
                         });

TEST_F(StubTest, EmptyAnswersAndOtherErrorsAreAnswers) {
  std::uint8_t code = 0;
  serve(kServer, [&](const Bytes& asked, bool) { return response(asked, code); });
  start({kServer});
  auto asking = client(kServer);
  for (code = 0; code < 16; ++code) {
    if (code == 2 || code == 3 || code == 5) continue;
    EXPECT_EQ(asking.ask(query(kMirrored)), response(query(kMirrored), code)) << int{code};
  }
}

TEST_F(StubTest, AnswersForASilentServerInTime) {
  options_.patience = 200ms;
  serve(kServer, silence());
  start({kServer});
  auto asking = client(kServer);
  const auto begun = clock_.now();
  EXPECT_TRUE(is_invented(asking.ask(query(kMirrored)), query(kMirrored)));
  EXPECT_GE(clock_.now() - begun, 200ms);
  EXPECT_EQ(invented(NoAnswer::silent), 1U);
}

TEST_F(StubTest, AnAnswerThatComesLateRemovesTheDoubt) {
  options_.patience = 200ms;
  client_timeout_ = 20s;
  std::promise<void> go;
  serve(kServer, [&](const Bytes& asked, bool) {
    go.get_future().wait();
    return response(asked, 0);
  });
  start({kServer});
  auto asking = client(kServer);
  EXPECT_TRUE(is_invented(asking.ask(query(kMirrored)), query(kMirrored)));
  const auto doubt = doubtful_.find(kMirrored);
  ASSERT_TRUE(doubt);
  EXPECT_EQ(doubt->limit, client_timeout_) << "our own lookup may take as long as the client's";
  go.set_value();
  const auto end = clock_.now() + 10s;
  while (doubtful_.contains(kMirrored) && clock_.now() < end) std::this_thread::yield();
  EXPECT_FALSE(doubtful_.contains(kMirrored));
}

TEST_F(StubTest, LateFailuresAreNoAnswers) {
  options_.patience = 100ms;
  client_timeout_ = 400ms;
  serve(kServer, [](const Bytes& asked, bool) {
    std::this_thread::sleep_for(250ms);
    return response(asked, 3);
  });
  start({kServer});
  EXPECT_TRUE(is_invented(client(kServer).ask(query(kMirrored)), query(kMirrored)));
  std::this_thread::sleep_for(500ms);
  EXPECT_TRUE(doubtful_.contains(kMirrored));
}

TEST_F(StubTest, ClientsWithLessPatienceAreAnsweredSooner) {
  client_timeout_ = 1s;
  options_.patience = 60s;
  serve(kServer, silence());
  start({kServer});
  EXPECT_TRUE(is_invented(client(kServer).ask(query(kMirrored)), query(kMirrored)));
}

TEST_F(StubTest, IsSilentWhereTheServerIs) {
  client_timeout_ = 100ms;
  serve(kServer, silence());
  start({kServer});
  auto asking = client(kServer);
  asking.send(query(kOther));
  EXPECT_TRUE(asking.receive(500ms).empty());
  EXPECT_EQ(counters().unanswered, 1U);
}

TEST_F(StubTest, AnswersAtOnceWhereNobodyListens) {
  options_.patience = 60s;
  client_timeout_ = 60s;
  start({kServer});
  auto asking = client(kServer);
  EXPECT_TRUE(is_invented(asking.ask(query(kMirrored)), query(kMirrored)));
  EXPECT_EQ(invented(NoAnswer::unreachable), 1U);
  // What the client would have known from an ICMP error.
  EXPECT_EQ(asking.ask(query(kOther)), response(query(kOther), 2));
  EXPECT_EQ(counters().told_unreachable, 1U);
}

TEST_F(StubTest, WantOfDescriptorsIsNoWordOfTheServer) {
#if __has_feature(undefined_behavior_sanitizer)
  GTEST_SKIP() << "the sanitizer's own checks need descriptors";
#endif
  serve(kServer, always(0));
  start({kServer});
  auto asking = client(kServer);
  rlimit normal{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &normal), 0);
  const int next = ::dup(0);  // the lowest that is free
  ::close(next);
  const rlimit none_left{static_cast<rlim_t>(next), normal.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none_left), 0);
  for (const auto* name : {kMirrored, kOther}) {
    asking.send(query(name));
    EXPECT_TRUE(asking.receive(200ms).empty()) << name;
  }
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &normal), 0);
  EXPECT_FALSE(doubtful_.contains(kMirrored));
  EXPECT_EQ(counters().unanswered, 2U);
  EXPECT_EQ(asking.ask(query(kMirrored)), response(query(kMirrored), 0, "from the server"));
}

TEST_F(StubTest, AsksTheOtherServersBeforeItAnswersItself) {
  for (const std::uint8_t code : {2, 3, 5}) {
    serve("127.0.0." + std::to_string(10 + code), always(code));
  }
  auto& second = serve(kSecond, always(0));
  start({"127.0.0.12", "127.0.0.13", "127.0.0.15", kServer, kSecond});
  for (const auto* failing : {"127.0.0.12", "127.0.0.13", "127.0.0.15", kServer}) {
    EXPECT_EQ(client(failing).ask(query(kMirrored)),
              response(query(kMirrored), 0, "from the server"));
  }
  EXPECT_FALSE(doubtful_.contains(kMirrored));
  const int asked = second.queries();
  client("127.0.0.12").ask(query(kOther));
  EXPECT_EQ(second.queries(), asked) << "for other names the client asks";
}

TEST_F(StubTest, OtherServersHaveTheRestOfTheTimeOfASilentOne) {
  options_.patience = 2s;
  serve(kServer, silence());
  serve(kSecond, always(0));
  start({kServer, kSecond});
  EXPECT_EQ(client(kServer).ask(query(kMirrored)),
            response(query(kMirrored), 0, "from the server"));
}

TEST_F(StubTest, PassesOverWhatAnswersAnotherQuery) {
  options_.patience = 200ms;
  serve(kServer, [](const Bytes& asked, bool) {
    auto other = response(asked, 0);
    other[0] ^= 0xff;
    return other;
  });
  start({kServer});
  EXPECT_TRUE(is_invented(client(kServer).ask(query(kMirrored)), query(kMirrored)));
}

TEST_F(StubTest, DropsWhatIsNoMessage) {
  start({kServer});
  auto asking = client(kServer);
  asking.send(Bytes(11));
  asking.send(Bytes(kMaxQuery + 1));
  while (counters().queries < 2) std::this_thread::yield();
  EXPECT_EQ(counters().dropped, 2U);
}

TEST_F(StubTest, WhenItIsFullRefusesAtOnceAndKeepsAShareForMirroredNames) {
  options_.max_queries = 4;
  client_timeout_ = 60s;
  serve(kServer, silence());
  start({kServer});
  auto flood = client(kServer);
  for (int i = 0; i < 5; ++i) flood.send(query(kOther));
  while (counters().queries < 5) std::this_thread::yield();
  EXPECT_EQ(counters().dropped, 2U);
  EXPECT_EQ(on_thread([this] { return stub_->under_way(); }), 3U);
  EXPECT_EQ(client(kServer).ask(query(kOther)),
            make_failure(query(kOther), *parse_query(query(kOther))));
  auto asking = client(kServer);
  EXPECT_TRUE(is_invented(asking.ask(query(kMirrored)), query(kMirrored)));
}

TEST_F(StubTest, AnswersWhatIsUnderWayWhenAServerIsTakenOffTheList) {
  options_.patience = 300ms;
  auto& server = serve(kServer, silence());
  start({kServer});
  auto asking = client(kServer);
  asking.send(query(kMirrored));
  while (server.queries() == 0) std::this_thread::yield();
  on_thread([this] { stub_->close(asio::ip::make_address(kServer)); });
  EXPECT_TRUE(is_invented(asking.receive(), query(kMirrored)));
  EXPECT_TRUE(on_thread([this] { return stub_->servers(); }).empty());
}

}  // namespace
}  // namespace hagring::dns::test
