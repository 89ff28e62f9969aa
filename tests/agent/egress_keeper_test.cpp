// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/egress_keeper.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/support/manual_clock.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

struct FakeResolver final : Resolver {
  std::map<std::string, Addresses> names;
  awaitable<Result<Addresses>> resolve(std::string name) override {
    const auto found = names.find(name);
    if (found == names.end()) co_return Errc::not_found;
    co_return found->second;
  }
};

class EgressKeeperTest : public testing::Test {
 protected:
  EgressKeeperTest() {
    options.proc = testing::TempDir() + "egress_keeper_test." + std::to_string(::getpid());
    options.interval = options.retry = 5ms;
    resolver.names["proxy.test"] = {address("10.0.0.1")};
  }
  ~EgressKeeperTest() override {
    stop();
    std::filesystem::remove_all(options.proc);
  }

  static asio::ip::address address(const char* text) { return asio::ip::make_address(text); }

  redirect::WatchedClient client(pid_t pid, const std::string& environ) {
    const auto folder = options.proc + "/" + std::to_string(pid);
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/environ") << environ;
    return {.pid = pid, .start_time = 1, .comm = "containerd", .cgroup = {}};
  }

  void start() {
    keeper.emplace(
        context.get_executor(), clock, resolver, egress, options,
        EgressKeeper::Hooks{
            .set_rule = [this](const redirect::Rule& rule) -> Result<void> {
              rules.insert(to_string(rule.destinations) + " " + std::to_string(rule.port));
              return {};
            },
            .remove_rule =
                [this](const redirect::Rule& rule) {
                  rules.erase(to_string(rule.destinations) + " " + std::to_string(rule.port));
                },
            .is_own = [](const EgressKeeper::Endpoint& to) { return to.port() == 666; },
            .ready = [this](const auto& found) { ready.push_back(found.pid); }});
    tasks.spawn([this] { return keeper->run(); });
  }

  void stop() {
    tasks.cancel();
    run_until([this] { return tasks.size() == 0; });
  }

  template <typename Condition>
  bool run_until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    context.restart();
    while (!condition() && std::chrono::steady_clock::now() < end) {
      if (context.run_one_for(10ms) == 0) context.restart();
    }
    return condition();
  }

  asio::io_context context;
  test::ManualClock clock;
  FakeResolver resolver;
  egress::Egress egress;
  EgressKeeper::Options options;
  std::set<std::string> rules;
  std::vector<pid_t> ready;
  std::optional<EgressKeeper> keeper;
  TaskGroup tasks{context.get_executor(), "keeper"};
};

TEST_F(EgressKeeperTest, ClientWithoutAProxyIsReadyAtOnce) {
  start();
  keeper->follow(client(1, "PATH=/bin\0"s));
  EXPECT_EQ(ready, std::vector{1});
  EXPECT_EQ(keeper->problem(), "");
  EXPECT_THAT(rules, IsEmpty());
}

TEST_F(EgressKeeperTest, ProxysAddressesHaveRulesBeforeTheClientIsReady) {
  resolver.names["proxy.test"] = {address("10.0.0.1"), address("fd00::1"),
                                  address("::ffff:10.0.0.1")};
  start();
  keeper->follow(client(1, "HTTPS_PROXY=http://u:secret@proxy.test:3128\0"s));
  EXPECT_THAT(ready, IsEmpty());
  ASSERT_TRUE(run_until([this] { return !ready.empty(); }));
  EXPECT_THAT(rules, UnorderedElementsAre("10.0.0.1/32 3128", "fd00::1/128 3128"));
  EXPECT_EQ(egress.proxy_at({address("10.0.0.1"), 3128}), "proxy.test");
  keeper->follow(client(1, ""));  // the same client again: nothing is read anew
  EXPECT_EQ(ready, std::vector{1});
  stop();
  EXPECT_THAT(rules, IsEmpty());
}

TEST_F(EgressKeeperTest, NameThatDoesNotResolveIsTriedAgain) {
  resolver.names.clear();
  start();
  keeper->follow(client(1, "https_proxy=proxy.test:3128\0"s));
  ASSERT_TRUE(run_until(
      [this] { return keeper->problem().starts_with("the proxy's name proxy.test doesn't"); }));
  EXPECT_THAT(ready, IsEmpty());
  resolver.names["proxy.test"] = {address("10.0.0.1")};
  ASSERT_TRUE(run_until([this] { return !ready.empty(); }));
  EXPECT_EQ(keeper->problem(), "");
}

TEST_F(EgressKeeperTest, AddressesThatAreNoLongerTheNamesLoseTheirRulesInTime) {
  start();
  keeper->follow(client(1, "HTTPS_PROXY=proxy.test:3128\0"s));
  ASSERT_TRUE(run_until([this] { return rules.contains("10.0.0.1/32 3128"); }));
  resolver.names["proxy.test"] = {address("10.0.0.2")};
  ASSERT_TRUE(run_until([this] { return rules.contains("10.0.0.2/32 3128"); }));
  EXPECT_EQ(rules.size(), 2U);
  clock.advance(options.keep);
  ASSERT_TRUE(run_until([this] { return !rules.contains("10.0.0.1/32 3128"); }));
  EXPECT_THAT(rules, UnorderedElementsAre("10.0.0.2/32 3128"));
}

TEST_F(EgressKeeperTest, NextClientWithTheSameProxyIsReadyAtOnceAndAnotherIsNot) {
  start();
  keeper->follow(client(1, "HTTPS_PROXY=proxy.test:3128\0"s));
  ASSERT_TRUE(run_until([this] { return !ready.empty(); }));
  keeper->follow(std::nullopt);
  EXPECT_TRUE(egress.proxy_for(true, "registry.test", 443)) << "streams still end";
  keeper->follow(client(2, "HTTPS_PROXY=http://u@proxy.test:3128\0"s));
  EXPECT_EQ(ready, (std::vector{1, 2}));
  EXPECT_FALSE(egress.proxy_for(true, "registry.test", 443)->authorization.empty());
  resolver.names["other.test"] = {address("10.0.0.9")};
  keeper->follow(client(3, "HTTPS_PROXY=other.test:8080\0"s));
  EXPECT_THAT(rules, IsEmpty());
  EXPECT_EQ(ready.size(), 2U);
  ASSERT_TRUE(run_until([this] { return ready.size() == 3; }));
  EXPECT_THAT(rules, UnorderedElementsAre("10.0.0.9/32 8080"));
}

TEST_F(EgressKeeperTest, ExcludedAndOwnAddressesHaveNoRule) {
  options.excluded = {*parse_prefix("10.0.0.0/8")};
  resolver.names["own.test"] = {address("127.0.0.1")};
  start();
  keeper->follow(client(1, "HTTPS_PROXY=proxy.test:3128\0HTTP_PROXY=own.test:666\0"s));
  ASSERT_TRUE(run_until([this] { return keeper->problem().find("no rule") != std::string::npos; }));
  EXPECT_THAT(keeper->problem(), HasSubstr("10.0.0.1 is left alone: --exclude has it"));
  EXPECT_THAT(keeper->problem(), HasSubstr("the trust probe would go out"));
  EXPECT_THAT(rules, IsEmpty());
  EXPECT_THAT(ready, IsEmpty());
}

TEST_F(EgressKeeperTest, KindThatIsNotUnderstoodIsLeftAloneButForNoProxy) {
  start();
  keeper->follow(client(1, "HTTPS_PROXY=socks5://u:secret@proxy.test\0"s));
  EXPECT_THAT(keeper->problem(), HasSubstr("socks5://"));
  EXPECT_EQ(keeper->problem().find("secret"), std::string::npos);
  EXPECT_THAT(ready, IsEmpty());
  keeper->follow(client(2, "HTTPS_PROXY=socks5://proxy.test\0NO_PROXY=192.0.2.1\0"s));
  EXPECT_EQ(ready, std::vector{2});
}

TEST_F(EgressKeeperTest, EnvironmentThatCannotBeReadIsTold) {
  start();
  keeper->follow(redirect::WatchedClient{.pid = 9, .start_time = 1, .comm = "c", .cgroup = {}});
  EXPECT_THAT(keeper->problem(), HasSubstr("can't be read (No such file or directory)"));
  EXPECT_EQ(ready, std::vector{9});
}

}  // namespace
}  // namespace hagring::agent
