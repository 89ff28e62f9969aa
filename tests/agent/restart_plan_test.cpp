// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/restart_plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace hagring::agent {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kRoot = "/sys/fs/cgroup";

std::string group(const std::string& below) { return kRoot + below; }

TEST(RestartPlan, FindsTheUnitByTheControlGroup) {
  EXPECT_EQ(systemd::service_of(group("/system.slice/containerd.service")), "containerd.service");
  EXPECT_EQ(systemd::service_of(group("/system.slice/k3s-agent.service/init")),
            "k3s-agent.service");
  // kind: a node's systemd within a container of the host's.
  EXPECT_EQ(systemd::service_of(group("/system.slice/docker.service/node/system.slice/"
                                      "containerd.service")),
            "containerd.service");
  for (const std::string none : {"", "/", "/user.slice/session-1.scope", "/podruntime/runtime"}) {
    EXPECT_EQ(systemd::service_of(none), "") << none;
  }
}

TEST(RestartPlan, RestartsByItselfWhatIsKnownToBeHarmless) {
  for (const std::string unit : {"containerd.service", "k3s-agent.service", "rke2-agent.service",
                                 "snap.microk8s.daemon-containerd.service"}) {
    EXPECT_EQ(plan_restart(group("/system.slice/" + unit), ""), (RestartPlan{unit, ""}));
    EXPECT_EQ(plan_restart(group("/system.slice/" + unit), unit), (RestartPlan{unit, ""}));
  }
}

TEST(RestartPlan, RestartsServersAndStrangersOnlyWhenTheyAreNamed) {
  for (const std::string unit : {"k3s.service", "rke2-server.service", "docker.service"}) {
    const auto path = group("/system.slice/" + unit);
    EXPECT_THAT(plan_restart(path, "").refusal, HasSubstr("--restart-unit " + unit));
    EXPECT_EQ(plan_restart(path, unit), (RestartPlan{unit, ""}));
  }
  EXPECT_THAT(plan_restart(group("/system.slice/containerd.service"), "k3s.service").refusal,
              HasSubstr("belongs to containerd.service"));
  EXPECT_THAT(plan_restart(group("/containerd"), "").refusal, HasSubstr("no systemd service"));
}

TEST(RestartPlan, WantsTheUnitThatTheRuntimeIsInAndNoOtherBesideIt) {
  const RestartPlan plan{.unit = "containerd.service"};
  const auto path = group("/system.slice/containerd.service");
  const systemd::Unit unit{.name = plan.unit,
                           .active_state = "active",
                           .control_group = "/system.slice/containerd.service"};
  EXPECT_EQ(check_plan(plan, path, unit), plan);
  EXPECT_EQ(check_plan(plan, path + "/init", unit), plan);
  EXPECT_EQ(check_plan(plan, group("/docker/0a1b/system.slice/containerd.service"), unit), plan);
  for (const std::string elsewhere : {"", "/docker/9/containerd.service", "/slice/containerd"}) {
    auto other = unit;
    other.control_group = elsewhere;
    EXPECT_THAT(check_plan(plan, path, other).refusal, HasSubstr("control group")) << elsewhere;
  }
  auto needed = unit;
  needed.dependents = {"docker.service", "kubelet.service"};
  EXPECT_THAT(check_plan(plan, path, needed).refusal, HasSubstr("docker.service, kubelet.service"));
  auto down = unit;
  down.active_state = "failed";
  EXPECT_THAT(check_plan(plan, path, down).refusal, HasSubstr("is failed"));
  const RestartPlan refused{.unit = "k3s.service", .refusal = "no"};
  EXPECT_EQ(check_plan(refused, path, unit), refused);
}

TEST(RestartPlan, IsOfNoUseToWhoWouldLookElsewhereAgain) {
  using namespace std::string_literals;
  const RestartPlan plan{.unit = "containerd.service"};
  const auto refusal = [&](const std::string& environ) {
    return check_environment(plan, environ, "/etc/ssl/certs").refusal;
  };
  EXPECT_THAT(refusal("SSL_CERT_DIR=/opt/certs:/usr/certs\0"s), HasSubstr("/opt/certs:/usr/certs"));
  // The list of files has nothing to do with directories.
  for (const auto& good : {""s, "SSL_CERT_DIR=\0"s, "SSL_CERT_FILE=/opt/bundle.pem\0"s,
                           "A=b\0SSL_CERT_DIR=/opt/certs:/etc/ssl/certs/\0"s,
                           "SSL_CERT_DIR=/etc/../etc/ssl/certs\0"s}) {
    EXPECT_EQ(refusal(good), "") << good;
  }
}

TEST(RestartPlan, SaysWhatBecomesOfIt) {
  const RestartPlan plan{.unit = "containerd.service"};
  EXPECT_THAT(describe_restart(plan, false, false), HasSubstr("`--restart-runtime once` would"));
  EXPECT_THAT(describe_restart(plan, true, false), HasSubstr("will be restarted"));
  EXPECT_THAT(describe_restart(plan, true, true), HasSubstr("not again"));
  EXPECT_THAT(describe_restart({.unit = "a", .refusal = "because"}, true, false),
              HasSubstr("by hand to trust the CA; because"));
}

struct RestartMarkTest : testing::Test {
  RestartMarkTest() {
    fs::create_directories(state);
    write(boot_id, "one\n");
  }
  ~RestartMarkTest() override { fs::remove_all(state); }
  static void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

  fs::path state = fs::temp_directory_path() / ("hagring-mark-" + std::to_string(::getpid()));
  fs::path boot_id = state / "boot_id";
};

TEST_F(RestartMarkTest, HoldsForTheBoot) {
  const RestartMark mark(state, boot_id);
  EXPECT_FALSE(mark.is_set());
  EXPECT_TRUE(mark.set());
  EXPECT_TRUE(RestartMark(state, boot_id).is_set());
  write(boot_id, "two\n");
  EXPECT_FALSE(mark.is_set());
}

TEST_F(RestartMarkTest, WhoCannotKnowDoesNotRestart) {
  fs::remove(boot_id);
  const RestartMark nowhere(state, boot_id);
  EXPECT_TRUE(nowhere.is_set());
  EXPECT_FALSE(nowhere.set());
  write(boot_id, "one\n");
  fs::create_directory(state / "runtime-restarted");
  EXPECT_TRUE(nowhere.is_set()) << "something unreadable is in the mark's place";
}

TEST_F(RestartMarkTest, IsTheKernelsBoot) { EXPECT_FALSE(RestartMark(state).is_set()); }

}  // namespace
}  // namespace hagring::agent
