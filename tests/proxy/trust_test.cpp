// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/trust.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/manual_clock.hpp"

namespace hagring::proxy {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

struct TrustTest : testing::Test {
  void appear(pid_t pid = 7) { trust.client_appeared(pid, clock.wall()); }
  bool due() const { return trust.probe_due_at() && *trust.probe_due_at() <= clock.now(); }
  void prove() {
    trust.probe_started("n");
    ASSERT_TRUE(trust.probe_seen(*trust.client(), "n"));
  }
  void fail(const std::string& error = "x509: certificate signed by unknown authority") {
    trust.probe_started("n");
    trust.probe_failed("n", error);
  }
  Duration wait() const { return *trust.probe_due_at() - clock.now(); }

  test::ManualClock clock;
  Trust trust{clock, {.first_retry = 5s, .longest_retry = 60s, .settled_after = 30min}};
};

TEST_F(TrustTest, ProbeIsDueAsSoonAsAClientAppears) {
  EXPECT_FALSE(trust.probe_due_at());
  EXPECT_FALSE(trust.terminates());
  appear();
  EXPECT_TRUE(due());
  EXPECT_EQ(trust.state(), TrustState::unproven);
  EXPECT_FALSE(trust.terminates());
}

TEST_F(TrustTest, TerminatesOnceTheProbeWasSeenAndNotBefore) {
  appear();
  trust.probe_started("nonce");
  EXPECT_EQ(trust.state(), TrustState::proving);
  EXPECT_FALSE(trust.probe_due_at());
  EXPECT_FALSE(trust.terminates());
  EXPECT_TRUE(trust.probe_seen(7, "nonce"));
  EXPECT_TRUE(trust.terminates());
  // The pull of something that isn't there ends with an error all the same.
  trust.probe_failed("nonce", "not found");
  EXPECT_EQ(trust.state(), TrustState::trusted);
  EXPECT_FALSE(trust.probe_due_at());
}

TEST_F(TrustTest, OnlyTheNonceOfThisProbeByThisClientProves) {
  appear();
  EXPECT_FALSE(trust.probe_seen(7, ""));
  trust.probe_started("nonce");
  EXPECT_FALSE(trust.probe_seen(7, "other"));
  EXPECT_FALSE(trust.probe_seen(8, "nonce"));
  EXPECT_FALSE(trust.terminates());
  trust.probe_failed("other", "late");
  EXPECT_EQ(trust.state(), TrustState::proving);
  trust.probe_failed("nonce", "failed");
  EXPECT_FALSE(trust.probe_seen(7, "nonce")) << "too late";
  EXPECT_FALSE(trust.terminates());
}

TEST_F(TrustTest, FailedProbesAreRepeatedEverMoreSeldom) {
  appear();
  std::vector<Duration> waits;
  for (int i = 0; i < 40; ++i) {
    fail();
    waits.push_back(wait());
    EXPECT_FALSE(due());
    clock.advance(wait());
    EXPECT_TRUE(due());
  }
  EXPECT_THAT(std::vector(waits.begin(), waits.begin() + 5),
              testing::ElementsAre(5s, 10s, 20s, 40s, 60s));
  EXPECT_EQ(waits.back(), 60s);
}

TEST_F(TrustTest, CertificateAlertPutsTheClientBackToSplicingAndProvesAgain) {
  appear();
  prove();
  trust.certificate_alert(8, 42);
  EXPECT_TRUE(trust.terminates()) << "another process's";
  trust.certificate_alert(7, 42);
  EXPECT_FALSE(trust.terminates());
  EXPECT_EQ(trust.state(), TrustState::refused);
  EXPECT_THAT(trust.reason(), HasSubstr("TLS alert 42"));
  EXPECT_EQ(wait(), 5s);
  trust.certificate_alert(7, 42);
  EXPECT_EQ(wait(), 5s) << "of the same time";
  prove();
  EXPECT_TRUE(trust.terminates());
}

TEST_F(TrustTest, TrustThatDoesNotLastIsProvenEverMoreSeldom) {
  appear();
  prove();
  trust.certificate_alert(7, 42);
  prove();
  trust.certificate_alert(7, 42);
  EXPECT_EQ(wait(), 10s);
  prove();
  clock.advance(31min);
  trust.certificate_alert(7, 42);
  EXPECT_EQ(wait(), 5s);
}

TEST_F(TrustTest, RestartedClientStartsAnew) {
  appear();
  prove();
  trust.client_gone(8);
  EXPECT_TRUE(trust.terminates());
  trust.client_gone(7);
  EXPECT_FALSE(trust.terminates());
  EXPECT_FALSE(trust.probe_due_at());
  EXPECT_THAT(trust.reason(), HasSubstr("no containerd"));
  appear(9);
  EXPECT_TRUE(due());
  EXPECT_FALSE(trust.terminates());
}

TEST_F(TrustTest, ClientThatTakesTheLastOnesPlaceIsNotTrusted) {
  appear();
  prove();
  appear();  // seen again: the same process
  EXPECT_TRUE(trust.terminates());
  clock.advance(1s);
  appear();  // the same pid, another process
  EXPECT_FALSE(trust.terminates());
  trust.probe_started("n");
  appear(8);
  EXPECT_FALSE(trust.probe_seen(8, "n")) << "a probe of the former client";
}

TEST_F(TrustTest, SaysThatAClientOlderThanTheCaMustBeRestarted) {
  appear();
  clock.advance(1h);
  trust.ca_installed(clock.wall());
  fail();
  EXPECT_THAT(trust.reason(), AllOf(HasSubstr("pid 7"), HasSubstr("unknown authority"),
                                    HasSubstr("restart it"), HasSubstr("UTC")));
  EXPECT_TRUE(trust.restart_would_help());
  appear(8);
  EXPECT_FALSE(trust.restart_would_help()) << "another that hasn't been asked";
}

TEST_F(TrustTest, ExplainsOtherFailures) {
  trust.ca_installed(clock.wall());
  clock.advance(1h);
  appear();
  fail();
  EXPECT_THAT(trust.reason(), HasSubstr("SSL_CERT_DIR"));
  EXPECT_FALSE(trust.restart_would_help());
  fail("dial tcp 192.0.2.1:443: i/o timeout");
  EXPECT_THAT(trust.reason(), HasSubstr("hook"));
  trust.ca_installed(std::nullopt);
  fail(std::string(10'000, 'x'));
  EXPECT_THAT(trust.reason(), HasSubstr("could not be put"));
  EXPECT_LT(trust.reason().size(), 1000U);
}

TEST_F(TrustTest, ProbesAtOnceWhenTheCaHasBeenPutInPlace) {
  appear();
  for (int i = 0; i < 5; ++i) fail();
  EXPECT_FALSE(due());
  trust.ca_installed(clock.wall());
  EXPECT_TRUE(due());
  fail();
  trust.ca_installed(clock.wall());
  EXPECT_FALSE(due()) << "nothing has changed";
}

}  // namespace
}  // namespace hagring::proxy
