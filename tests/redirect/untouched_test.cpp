// SPDX-License-Identifier: Apache-2.0
// What must pass as if there were no hook, and what must never be misdirected.
#include <bpf/bpf.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include "bpf/redirect_abi.h"
#include "tests/redirect/hook_lab.hpp"

namespace hagring::redirect::test {
namespace {

using std::chrono::seconds;

class UntouchedTest : public HookTest {
 protected:
  void SetUp() override {
    HookTest::SetUp();
    if (IsSkipped()) return;
    redirector_ = std::make_unique<Redirector>(options());
    start_mirror(*redirector_);
    auto attached = redirector_->attach(cgroup_->path());
    ASSERT_TRUE(attached) << attached.error().message();
    attachment_ = std::make_unique<Attachment>(std::move(*attached));
    origin_ = listen_on(at(kOriginV4, 443));
  }

  /// A client that connects to `to` whenever it is told to, and says the errno.
  std::unique_ptr<ClientProcess> client(Endpoint to = at(kOriginV4, 443)) {
    auto process = std::make_unique<ClientProcess>(cgroup_->path(), [to](Conversation& parent) {
      while (!parent.hear().empty()) {
        const auto socket = make_socket(to);
        parent.say(std::to_string(connect_to(socket.get(), to)));
      }
    });
    set_client(*redirector_, process->pid());
    return process;
  }

  /// One more connect of `process`; whether it succeeded.
  bool connects(ClientProcess& process) {
    process.say("go");
    return process.hear() == "0";
  }

  void expect_origin(const char* reason) {
    EXPECT_TRUE(accept_within(origin_.get(), seconds(5)));
    EXPECT_TRUE(nobody_came(mirror_v4_.get()));
    EXPECT_GE(counter(*redirector_, reason), 1U);
    EXPECT_EQ(counter(*redirector_, "redirected"), 0U);
  }

  /// The age of the heartbeat, as an agent would leave it that hung.
  void set_heartbeat(std::uint64_t monotonic_ns) {
    const UniqueFd map(::bpf_obj_get((bpf_directory_ + "/hagring/config").c_str()));
    const std::uint32_t only = 0;
    abi::config config{};
    ASSERT_EQ(::bpf_map_lookup_elem(map.get(), &only, &config), 0);
    config.heartbeat_monotonic_ns = monotonic_ns;
    ASSERT_EQ(::bpf_map_update_elem(map.get(), &only, &config, BPF_ANY), 0);
  }

  std::unique_ptr<Redirector> redirector_;
  std::unique_ptr<Attachment> attachment_;
  UniqueFd origin_;
};

TEST_F(UntouchedTest, AnotherProcessInTheSameCgroup) {
  auto process = client();
  redirector_->remove_client(static_cast<std::uint32_t>(process->pid()));
  EXPECT_TRUE(connects(*process));
  expect_origin("passed_other_process");
}

TEST_F(UntouchedTest, AClientThatIsToBeLeftAlone) {
  auto process = client();
  Client entry;
  entry.tgid = static_cast<std::uint32_t>(process->pid());
  entry.redirected = false;
  ASSERT_TRUE(redirector_->set_client(entry));
  EXPECT_TRUE(connects(*process));
  expect_origin("passed_other_process");
}

TEST_F(UntouchedTest, OfAnyTaskOnlyTheOneThatIsLeftAlone) {
  auto process = client();
  redirector_->remove_client(static_cast<std::uint32_t>(process->pid()));
  Client any;
  any.tgid = Client::kAnyTask;
  ASSERT_TRUE(redirector_->set_client(any));
  EXPECT_TRUE(connects(*process));
  EXPECT_TRUE(accept_within(mirror_v4_.get(), seconds(5)));
  Client entry;
  entry.tgid = static_cast<std::uint32_t>(process->pid());
  entry.redirected = false;
  ASSERT_TRUE(redirector_->set_client(entry));
  EXPECT_TRUE(connects(*process));
  EXPECT_TRUE(accept_within(origin_.get(), seconds(5)));
}

TEST_F(UntouchedTest, AProcessOutsideTheCgroup) {
  ClientProcess process("", [](Conversation& parent) {
    parent.hear();
    static UniqueFd socket = make_socket(at(kOriginV4, 443));
    parent.say(std::to_string(connect_to(socket.get(), at(kOriginV4, 443))));
  });
  set_client(*redirector_, process.pid());
  EXPECT_TRUE(connects(process));
  EXPECT_TRUE(accept_within(origin_.get(), seconds(5)));
}

TEST_F(UntouchedTest, LoopbackDestinations) {
  for (const auto* range : {"127.0.0.0/8", "127.0.0.53/31", "::/127"}) {
    ASSERT_TRUE(redirector_->set_rule({*parse_prefix(range), 443, Rule::Action::redirect}));
  }
  for (const auto* any_port : {"127.0.0.53", "::1"}) {
    ASSERT_TRUE(redirector_->set_rule({*parse_prefix(any_port)}));
  }
  for (const auto* loopback : {"127.0.0.53", "::ffff:127.0.0.53"}) {
    const auto listener = listen_on(at("127.0.0.53", 443));
    auto process = client(at(loopback, 443));
    EXPECT_TRUE(connects(*process));
    EXPECT_TRUE(accept_within(listener.get(), seconds(5))) << loopback;
  }
  const auto listener = listen_on(at("::1", 443));
  auto process = client(at("::1", 443));
  EXPECT_TRUE(connects(*process));
  EXPECT_TRUE(accept_within(listener.get(), seconds(5)));
  EXPECT_EQ(counter(*redirector_, "passed_loopback"), 3U);
  EXPECT_EQ(counter(*redirector_, "redirected"), 0U);
}

TEST_F(UntouchedTest, OtherPorts) {
  const auto listener = listen_on(at(kOriginV4, 8443));
  auto process = client(at(kOriginV4, 8443));
  EXPECT_TRUE(connects(*process));
  EXPECT_TRUE(accept_within(listener.get(), seconds(5)));
  EXPECT_EQ(counter(*redirector_, "passed_no_rule"), 1U);
}

TEST_F(UntouchedTest, Datagrams) {
  ClientProcess process(cgroup_->path(), [](Conversation& parent) {
    parent.hear();
    const auto to = at(kOriginV4, 443);
    static UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ::connect(socket.get(), to.data(), static_cast<socklen_t>(to.size()));
    parent.say(peer_name(socket.get()));
  });
  set_client(*redirector_, process.pid());
  process.say("go");
  EXPECT_EQ(process.hear(), "198.51.100.1:443");
  EXPECT_EQ(counter(*redirector_, "passed_not_tcp"), 1U);
}

TEST_F(UntouchedTest, ASocketBoundToADevice) {
  ClientProcess process(cgroup_->path(), [](Conversation& parent) {
    parent.hear();
    static UniqueFd socket = make_socket(at(kOriginV4, 443));
    const char device[] = "lo";
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, device, sizeof(device)) != 0) {
      parent.say("SO_BINDTODEVICE failed");
      return;
    }
    parent.say(std::to_string(connect_to(socket.get(), at(kOriginV4, 443))));
  });
  set_client(*redirector_, process.pid());
  EXPECT_TRUE(connects(process));
  expect_origin("passed_bound_device");
}

TEST_F(UntouchedTest, EverythingWhileTheAgentHangs) {
  auto process = client();
  set_heartbeat(1);
  EXPECT_TRUE(connects(*process));
  expect_origin("passed_stale_heartbeat");
  redirector_->beat();
  EXPECT_TRUE(connects(*process));
  EXPECT_TRUE(accept_within(mirror_v4_.get(), seconds(5))) << "redirection resumes with the beat";
}

TEST_F(UntouchedTest, EverythingWithoutAMirror) {
  auto process = client();
  ASSERT_TRUE(redirector_->set_listeners(-1, -1));
  EXPECT_TRUE(connects(*process));
  expect_origin("passed_no_listener");
}

TEST_F(UntouchedTest, AListenerOnAllAddressesIsNotTheMirror) {
  auto process = client();
  const auto port = local_of(mirror_v4_.get()).port();
  const int on = 1;
  UniqueFd foreign = make_socket(at("0.0.0.0", port));
  ::setsockopt(foreign.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  mirror_v4_.reset();
  foreign = listen_on(at("0.0.0.0", port));
  ASSERT_TRUE(foreign);
  EXPECT_TRUE(connects(*process));
  EXPECT_TRUE(accept_within(origin_.get(), seconds(5)));
  EXPECT_TRUE(nobody_came(foreign.get()));
  EXPECT_EQ(counter(*redirector_, "passed_foreign_listener"), 1U);
}

TEST_F(UntouchedTest, AnotherProgramOnTheMirrorsVeryAddress) {
  auto process = client();
  const auto address = local_of(mirror_v4_.get());
  mirror_v4_.reset();
  const auto foreign = listen_on(address);
  ASSERT_TRUE(foreign);
  EXPECT_TRUE(connects(*process));
  EXPECT_TRUE(accept_within(origin_.get(), seconds(5)));
  EXPECT_TRUE(nobody_came(foreign.get()));
  EXPECT_EQ(counter(*redirector_, "passed_foreign_listener"), 1U);
}

TEST_F(UntouchedTest, AConnectionThatCameToTheMirrorByItself) {
  const auto mirror = local_of(mirror_v4_.get());
  const auto socket = make_socket(mirror);
  ASSERT_EQ(connect_to(socket.get(), mirror), 0);
  const auto accepted = accept_within(mirror_v4_.get(), seconds(5));
  const auto flow = redirector_->find_flow(accepted.get());
  ASSERT_FALSE(flow);
  EXPECT_EQ(flow.error(), hagring::Errc::not_found);
}

TEST_F(UntouchedTest, AClientInAnotherNetworkNamespace) {
  ClientProcess process(cgroup_->path(), [](Conversation& parent) {
    parent.hear();
    if (::unshare(CLONE_NEWNET) != 0 ||
        std::system("ip link set lo up && ip addr add 198.51.100.1/32 dev lo") != 0) {
      parent.say("no namespace");
      return;
    }
    const auto inner = listen_on(at(kOriginV4, 443));
    const auto socket = make_socket(at(kOriginV4, 443));
    const int error = connect_to(socket.get(), at(kOriginV4, 443));
    const auto accepted = accept_within(inner.get(), seconds(5));
    parent.say(error == 0 && accepted ? "0" : "not accepted");
  });
  set_client(*redirector_, process.pid());
  EXPECT_TRUE(connects(process));
  EXPECT_TRUE(nobody_came(mirror_v4_.get()));
  EXPECT_EQ(counter(*redirector_, "passed_no_listener"), 1U);
}

TEST_F(UntouchedTest, EverythingAfterTheAttachmentIsGone) {
  auto process = client();
  attachment_.reset();
  EXPECT_TRUE(connects(*process));
  EXPECT_TRUE(accept_within(origin_.get(), seconds(5)));
  EXPECT_EQ(output_of("bpftool cgroup show " + cgroup_->path()), "");
}

}  // namespace
}  // namespace hagring::redirect::test
