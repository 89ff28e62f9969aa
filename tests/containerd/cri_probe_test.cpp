// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/cri_probe.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "tests/containerd/daemon.hpp"
#include "tests/support/run.hpp"

namespace hagring::containerd {
namespace {

using namespace std::chrono_literals;

class CriProbeTest : public testing::TestWithParam<std::string> {
 protected:
  void start(test::Daemon::Cri cri) {
    daemon_ = std::make_unique<test::Daemon>(GetParam(), cri);
    daemon_->start();
    probe_ = std::make_unique<CriProbe>(daemon_->socket());
  }

  void SetUp() override {
    if (test::containerd_binaries(GetParam()).empty()) {
      GTEST_SKIP() << "SKIPPED, nothing is shown: containerd " << GetParam()
                   << " is missing, run scripts/fetch_containerd.sh";
    }
  }

  asio::io_context context_;
  std::unique_ptr<test::Daemon> daemon_;
  std::unique_ptr<CriProbe> probe_;
};

TEST_P(CriProbeTest, TellsWhyAPullFailed) {
  start(test::Daemon::Cri::on);
  const auto version = test::run(context_, probe_->runtime_version());
  ASSERT_TRUE(version) << version.error().message();
  EXPECT_EQ(version->name, "containerd");
  EXPECT_TRUE(version->version.starts_with(GetParam())) << version->version;

  // A port that nobody listens on: bound, so that nobody else gets it meanwhile.
  asio::ip::tcp::acceptor closed(context_);
  closed.open(asio::ip::tcp::v4());
  closed.bind({asio::ip::address_v4::loopback(), 0});
  const auto host = "127.0.0.1:" + std::to_string(closed.local_endpoint().port());
  const auto outcome = test::run(context_, probe_->pull(host + "/hagring/probe:x1", 20s));
  ASSERT_TRUE(outcome) << outcome.error().message();
  EXPECT_FALSE(outcome->pulled);
  EXPECT_FALSE(outcome->cri_is_missing);
  EXPECT_NE(outcome->text.find("connection refused"), std::string::npos)
      << outcome->status << ": " << outcome->text;
}

TEST_P(CriProbeTest, TellsItsConfiguration) {
  start(test::Daemon::Cri::on);
  const auto configuration = test::run(context_, probe_->configuration());
  ASSERT_TRUE(configuration) << configuration.error().message();
  EXPECT_TRUE(configuration->starts_with("{")) << *configuration;
}

TEST_P(CriProbeTest, TellsThatTheCriPluginIsOff) {
  start(test::Daemon::Cri::off);
  const auto outcome = test::run(context_, probe_->pull("192.0.2.1/hagring/probe:x1", 20s));
  ASSERT_TRUE(outcome) << outcome.error().message();
  EXPECT_TRUE(outcome->cri_is_missing);
  EXPECT_NE(outcome->text.find("cri plugin"), std::string::npos);
  EXPECT_EQ(test::run(context_, probe_->runtime_version()).error(), Errc::unsupported);
}

INSTANTIATE_TEST_SUITE_P(Containerd, CriProbeTest, testing::Values("1.6", "1.7", "2.1"),
                         [](const auto& parameter) {
                           auto name = "v" + parameter.param;
                           std::ranges::replace(name, '.', '_');
                           return name;
                         });

}  // namespace
}  // namespace hagring::containerd
