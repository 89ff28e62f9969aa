// SPDX-License-Identifier: Apache-2.0
// What is redirected, and what the mirror and the client then see.
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/redirect/hook_lab.hpp"

namespace hagring::redirect::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class RedirectTest : public HookTest {
 protected:
  void SetUp() override {
    HookTest::SetUp();
    if (IsSkipped()) return;
    redirector_ = std::make_unique<Redirector>(options());
    start_mirror(*redirector_);
    auto attached = redirector_->attach(cgroup_->path());
    ASSERT_TRUE(attached) << attached.error().message();
    attachment_ = std::make_unique<Attachment>(std::move(*attached));
  }

  /// A client that is redirected and runs `body` once told to.
  std::unique_ptr<ClientProcess> client(ClientProcess::Body body) {
    auto process = std::make_unique<ClientProcess>(cgroup_->path(), std::move(body));
    set_client(*redirector_, process->pid());
    return process;
  }

  std::unique_ptr<Redirector> redirector_;
  std::unique_ptr<Attachment> attachment_;
};

/// Says the errno and the peer's name of one connect, and keeps the connection.
ClientProcess::Body connects_to(Endpoint to) {
  return [to](Conversation& parent) {
    parent.hear();
    static UniqueFd socket = make_socket(to);
    const int error = connect_to(socket.get(), to);
    parent.say(error == 0 ? peer_name(socket.get()) : std::strerror(error));
  };
}

TEST_F(RedirectTest, LeadsIpv4ToTheMirror) {
  const auto to = at(kOriginV4, 443);
  auto process = client(connects_to(to));
  process->say("go");
  EXPECT_EQ(process->hear(), "198.51.100.1:443");
  const auto accepted = accept_within(mirror_v4_.get(), seconds(5));
  ASSERT_TRUE(accepted);
  const auto flow = redirector_->find_flow(accepted.get());
  ASSERT_TRUE(flow) << flow.error().message();
  EXPECT_EQ(flow->original, to);
  EXPECT_EQ(flow->client_tgid, static_cast<std::uint32_t>(process->pid()));
  EXPECT_EQ(flow->client_comm, "containerd");
  EXPECT_TRUE(flow->open);
  EXPECT_NE(flow->socket_cookie, 0U);
  EXPECT_EQ(counter(*redirector_, "redirected"), 1U);
  EXPECT_EQ(counter(*redirector_, "flows_recorded"), 1U);
}

TEST_F(RedirectTest, LeadsIpv6ToTheMirror) {
  const auto to = at(kOriginV6, 443);
  auto process = client(connects_to(to));
  process->say("go");
  EXPECT_EQ(process->hear(), "2001:db8::1:443");
  const auto accepted = accept_within(mirror_v6_.get(), seconds(5));
  ASSERT_TRUE(accepted);
  const auto flow = redirector_->find_flow(accepted.get());
  ASSERT_TRUE(flow) << flow.error().message();
  EXPECT_EQ(flow->original, to);
}

TEST_F(RedirectTest, LeadsMappedIpv4ToTheIpv4Listener) {
  auto process = client(connects_to(at("::ffff:198.51.100.1", 80)));
  process->say("go");
  EXPECT_EQ(process->hear(), "::ffff:198.51.100.1:80");
  const auto accepted = accept_within(mirror_v4_.get(), seconds(5));
  ASSERT_TRUE(accepted);
  const auto flow = redirector_->find_flow(accepted.get());
  ASSERT_TRUE(flow) << flow.error().message();
  EXPECT_EQ(flow->original, at(kOriginV4, 80));
}

TEST_F(RedirectTest, ServesIpv6OnlySockets) {
  auto process = client([](Conversation& parent) {
    parent.hear();
    const auto to = at(kOriginV6, 443);
    static UniqueFd socket = make_socket(to);
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    parent.say(std::to_string(connect_to(socket.get(), to)));
  });
  process->say("go");
  EXPECT_EQ(process->hear(), "0");
  const auto accepted = accept_within(mirror_v6_.get(), seconds(5));
  ASSERT_TRUE(accepted);
  EXPECT_TRUE(redirector_->find_flow(accepted.get()));
}

TEST_F(RedirectTest, LeadsALoopbackAddressThatARuleNames) {
  for (const auto& proxy : {at("127.0.0.9", 3128), at("::1", 3128)}) {
    const Rule rule{prefix_of(proxy.address(), proxy.address().is_v4() ? 32 : 128), 3128};
    const auto listener = listen_on(proxy);
    const auto& mirror = proxy.address().is_v4() ? mirror_v4_ : mirror_v6_;
    ASSERT_TRUE(redirector_->set_rule(rule));
    auto process = client(connects_to(proxy));
    process->say("go");
    process->hear();
    const auto accepted = accept_within(mirror.get(), seconds(5));
    ASSERT_TRUE(accepted) << proxy;
    const auto flow = redirector_->find_flow(accepted.get());
    ASSERT_TRUE(flow) << flow.error().message();
    EXPECT_EQ(flow->original, proxy);
    redirector_->remove_rule(rule);
    auto after = client(connects_to(proxy));
    after->say("go");
    after->hear();
    EXPECT_TRUE(accept_within(listener.get(), seconds(5))) << proxy;
  }
}

TEST_F(RedirectTest, LeavesIpv6AloneWithoutAnIpv6Listener) {
  ASSERT_TRUE(redirector_->set_listeners(mirror_v4_.get(), -1));
  const auto origin = listen_on(at(kOriginV6, 443));
  auto process = client(connects_to(at(kOriginV6, 443)));
  process->say("go");
  EXPECT_EQ(process->hear(), "2001:db8::1:443");
  EXPECT_TRUE(accept_within(origin.get(), seconds(5)));
  EXPECT_EQ(counter(*redirector_, "passed_no_listener"), 1U);
}

TEST_F(RedirectTest, KnowsAClientThatIsBoundToAnAddress) {
  auto process = client([](Conversation& parent) {
    parent.hear();
    const auto from = at(kHostV4, 0);
    static UniqueFd socket = make_socket(from);
    ::bind(socket.get(), from.data(), static_cast<socklen_t>(from.size()));
    parent.say(std::to_string(connect_to(socket.get(), at(kOriginV4, 443))));
  });
  process->say("go");
  EXPECT_EQ(process->hear(), "0");
  const auto accepted = accept_within(mirror_v4_.get(), seconds(5));
  ASSERT_TRUE(accepted);
  const auto flow = redirector_->find_flow(accepted.get());
  ASSERT_TRUE(flow) << flow.error().message();
  EXPECT_EQ(flow->client.address().to_string(), kHostV4);
  EXPECT_EQ(flow->original, at(kOriginV4, 443));
}

TEST_F(RedirectTest, TakesRepeatedNonBlockingConnects) {
  auto process = client([](Conversation& parent) {
    parent.hear();
    const auto to = at(kOriginV4, 443);
    static UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    int tries = 0;
    int error = 0;
    do {
      error =
          ::connect(socket.get(), to.data(), static_cast<socklen_t>(to.size())) == 0 ? 0 : errno;
    } while (error != 0 && error != EISCONN && ++tries < 1000);
    parent.say(peer_name(socket.get()));
  });
  process->say("go");
  EXPECT_EQ(process->hear(), "198.51.100.1:443");
  const auto accepted = accept_within(mirror_v4_.get(), seconds(5));
  ASSERT_TRUE(accepted);
  EXPECT_TRUE(redirector_->find_flow(accepted.get()));
  EXPECT_TRUE(nobody_came(mirror_v4_.get()));
}

TEST_F(RedirectTest, RedirectsASocketThatWasRefusedBefore) {
  auto process = client([](Conversation& parent) {
    parent.hear();
    static UniqueFd socket = make_socket(at(kOriginV4, 0));
    const auto blocking_connect = [](const Endpoint& to) {
      const int end = ::connect(socket.get(), to.data(), static_cast<socklen_t>(to.size()));
      return std::to_string(end == 0 ? 0 : errno);
    };
    // Port 81 has no rule and no listener: refused by the origin.
    parent.say(blocking_connect(at(kOriginV4, 81)));
    parent.say(blocking_connect(at(kOriginV4, 443)));
    parent.say(peer_name(socket.get()));
  });
  process->say("go");
  EXPECT_EQ(process->hear(), std::to_string(ECONNREFUSED));
  EXPECT_EQ(process->hear(), "0");
  EXPECT_EQ(process->hear(), "198.51.100.1:443");
  const auto accepted = accept_within(mirror_v4_.get(), seconds(5));
  ASSERT_TRUE(accepted);
  EXPECT_EQ(redirector_->find_flow(accepted.get())->original, at(kOriginV4, 443));
}

TEST_F(RedirectTest, ForgetsTheFirstDestinationWhenASocketIsUsedAgain) {
  const auto origin = listen_on(at(kOriginV4, 81));
  auto process = client([](Conversation& parent) {
    parent.hear();
    static UniqueFd socket = make_socket(at(kOriginV4, 0));
    connect_to(socket.get(), at(kOriginV4, 443));
    parent.say(peer_name(socket.get()));
    const sockaddr nowhere{AF_UNSPEC, {}};
    ::connect(socket.get(), &nowhere, sizeof(nowhere));
    connect_to(socket.get(), at(kOriginV4, 81));
    parent.say(peer_name(socket.get()));
    ::connect(socket.get(), &nowhere, sizeof(nowhere));
    connect_to(socket.get(), at(kOriginV4, 80));
    parent.say(peer_name(socket.get()));
  });
  process->say("go");
  EXPECT_EQ(process->hear(), "198.51.100.1:443");
  EXPECT_EQ(process->hear(), "198.51.100.1:81");
  EXPECT_EQ(process->hear(), "198.51.100.1:80");
  EXPECT_TRUE(accept_within(origin.get(), seconds(5)));
  const auto first = accept_within(mirror_v4_.get(), seconds(5));
  const auto second = accept_within(mirror_v4_.get(), seconds(5));
  ASSERT_TRUE(second);
  EXPECT_EQ(redirector_->find_flow(second.get())->original, at(kOriginV4, 80));
  const auto gone = redirector_->find_flow(first.get());
  EXPECT_FALSE(gone) << "the first connection is closed";
}

TEST_F(RedirectTest, NeverTakesAStaleDestinationForAConnectToTheMirrorItself) {
  const auto mirror = local_of(mirror_v4_.get());
  auto process = client([mirror](Conversation& parent) {
    parent.hear();
    static UniqueFd socket = make_socket(mirror);
    connect_to(socket.get(), at(kOriginV4, 443));
    const sockaddr nowhere{AF_UNSPEC, {}};
    ::connect(socket.get(), &nowhere, sizeof(nowhere));
    connect_to(socket.get(), mirror);
    parent.say(peer_name(socket.get()));
  });
  process->say("go");
  EXPECT_EQ(process->hear(), "127.0.0.1:" + std::to_string(mirror.port()));
  ASSERT_TRUE(accept_within(mirror_v4_.get(), seconds(5)));
  const auto direct = accept_within(mirror_v4_.get(), seconds(5));
  ASSERT_TRUE(direct);
  const auto flow = redirector_->find_flow(direct.get());
  ASSERT_FALSE(flow);
  EXPECT_EQ(flow.error(), hagring::Errc::not_found);
}

TEST_F(RedirectTest, FollowsTheMostSpecificRule) {
  const auto set = [this](const char* prefix, std::uint16_t port, Rule::Action action) {
    ASSERT_TRUE(redirector_->set_rule({*parse_prefix(prefix), port, action}));
  };
  set("198.51.100.0/24", Rule::kAnyPort, Rule::Action::leave);
  set("198.51.100.1", 5000, Rule::Action::redirect);
  const auto origin = listen_on(at(kOriginV4, 443));
  auto process = client([](Conversation& parent) {
    parent.hear();
    static UniqueFd first = make_socket(at(kOriginV4, 0));
    static UniqueFd second = make_socket(at(kOriginV4, 0));
    parent.say(std::to_string(connect_to(first.get(), at(kOriginV4, 443))));
    parent.say(std::to_string(connect_to(second.get(), at(kOriginV4, 5000))));
  });
  process->say("go");
  EXPECT_EQ(process->hear(), "0");
  EXPECT_EQ(process->hear(), "0");
  EXPECT_TRUE(accept_within(origin.get(), seconds(5)));
  EXPECT_EQ(counter(*redirector_, "passed_rule_says_leave"), 1U);
  const auto accepted = accept_within(mirror_v4_.get(), seconds(5));
  ASSERT_TRUE(accepted);
  EXPECT_EQ(redirector_->find_flow(accepted.get())->original, at(kOriginV4, 5000));
  EXPECT_TRUE(nobody_came(mirror_v4_.get()));
}

TEST_F(RedirectTest, ShowsPeopleWhatItDid) {
  auto process = client([](Conversation& parent) {
    parent.hear();
    static UniqueFd v4 = make_socket(at(kOriginV4, 0));
    static UniqueFd v6 = make_socket(at(kOriginV6, 0));
    connect_to(v4.get(), at(kOriginV4, 443));
    connect_to(v6.get(), at(kOriginV6, 443));
    parent.say("done");
  });
  process->say("go");
  EXPECT_EQ(process->hear(), "done");
  const auto dump = [this](const std::string& map) {
    return output_of("bpftool map dump pinned " + bpf_directory_ + "/hagring/" + map + " 2>&1");
  };
  const auto has = [](const std::string& text) { return ::testing::HasSubstr(text); };
  const auto flows = dump("flows");
  for (const auto* text :
       {"\"original_address\": \"198.51.100.1\"", "\"original_port\": 443", "\"state\": \"open\"",
        "\"original_address\": \"2001:0db8:0000:0000:0000:0000:0000:0001\"",
        "\"client_address\": \"127.0.0.1\"", "\"client_comm\": \"containerd\"",
        "\"family\": \"ipv6\""}) {
    EXPECT_THAT(flows, has(text));
  }
  EXPECT_THAT(dump("rules"), has("\"destination\": \"0.0.0.0/0\""));
  EXPECT_THAT(dump("rules"), has("\"action\": \"redirect\""));
  EXPECT_THAT(dump("clients"), has("\"policy\": \"redirected\""));
  EXPECT_THAT(dump("clients"), has("\"comm\": \"containerd\""));
  EXPECT_THAT(dump("config"), has("\"mirror_ipv4\": \"127.0.0.1\""));
  EXPECT_THAT(dump("counters"), has("\"passed_foreign_listener\": 0"));
  EXPECT_EQ(redirector_->recent_flows(1).size(), 1U);
  EXPECT_EQ(redirector_->recent_flows(9).size(), 2U);
}

}  // namespace
}  // namespace hagring::redirect::test
