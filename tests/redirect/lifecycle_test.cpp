// SPDX-License-Identifier: Apache-2.0
// Starting, sharing a machine, and dying.
#include <bpf/bpf.h>
#include <linux/capability.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <thread>

#include "bpf/redirect_abi.h"
#include "tests/redirect/hook_lab.hpp"
#include "userspace/redirect/error.hpp"
#include "userspace/redirect/pins.hpp"

namespace hagring::redirect::test {
namespace {

using std::chrono::seconds;

class LifecycleTest : public HookTest {};

/// Keeps `capabilities` only, and uid 0.
bool keep_only(std::initializer_list<int> capabilities) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  for (const int capability : capabilities) {
    auto& half = sets[static_cast<std::size_t>(capability / 32)];
    half.effective |= 1U << capability % 32;
    half.permitted = half.effective;
  }
  return ::syscall(SYS_capset, &header, sets.data()) == 0;
}

ClientProcess::Body connects_when_told(Endpoint to) {
  return [to](Conversation& parent) {
    while (!parent.hear().empty()) {
      const auto socket = make_socket(to);
      parent.say(std::to_string(connect_to(socket.get(), to)));
    }
  };
}

/// A whole redirect by an agent with few capabilities; the reason if it fails.
std::string redirect_once(const RedirectorOptions& options, const std::string& cgroup) try {
  Redirector redirector(options);
  const auto v4 = listen_on(at("127.0.0.1", 0));
  const auto v6 = listen_on(at("::1", 0));
  if (const auto set = redirector.set_listeners(v4.get(), v6.get()); !set) {
    return "listeners: " + set.error().message();
  }
  const auto attached = redirector.attach(cgroup);
  if (!attached) return "attach: " + attached.error().message();
  Client client;
  client.tgid = static_cast<std::uint32_t>(::getpid());
  if (const auto set = redirector.set_client(client); !set) {
    return "client: " + set.error().message();
  }
  redirector.beat();
  const auto to = at(kOriginV4, 443);
  const auto socket = make_socket(to);
  if (connect_to(socket.get(), to) != 0) return "connect failed";
  const auto accepted = accept_within(v4.get(), seconds(5));
  const auto flow = redirector.find_flow(accepted.get());
  if (!flow) return "flow: " + flow.error().message();
  if (flow->original != to || !attached->alive()) return "wrong flow, or not alive";
  redirector.remove_pins();
  return "redirected";
} catch (const StartError& error) {
  std::string text = error.what();
  for (auto& c : text) c = c == '\n' ? ' ' : c;
  return text;
}

TEST_F(LifecycleTest, NeedsTwoCapabilitiesOnly) {
  const auto with = options();
  const auto cgroup = cgroup_->path();
  ClientProcess agent(cgroup, [=](Conversation& parent) {
    parent.say(keep_only({CAP_BPF, CAP_NET_ADMIN}) ? redirect_once(with, cgroup) : "capset");
  });
  EXPECT_EQ(agent.hear(), "redirected");
}

TEST_F(LifecycleTest, NamesTheCapabilityThatIsMissing) {
  const auto with = options();
  ClientProcess agent("", [=](Conversation& parent) {
    parent.say(keep_only({CAP_NET_ADMIN}) ? redirect_once(with, "") : "capset");
  });
  EXPECT_THAT(agent.hear(), ::testing::HasSubstr("missing: CAP_BPF."));
}

TEST_F(LifecycleTest, SaysHowToGetABpfFileSystem) {
  auto elsewhere = options();
  elsewhere.pin_directory = "/tmp/hagring-no-bpf";
  try {
    Redirector redirector(elsewhere);
    FAIL() << "started";
  } catch (const StartError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("mount -t bpf bpf /sys/fs/bpf"));
  }
}

TEST_F(LifecycleTest, LoadsBesideWhatElseIsToDo) {
  Redirector redirector(options(), Redirector::Load::beside);
  redirector.finish_loading();
  EXPECT_EQ(::access((options().pin_directory + "/flows").c_str(), F_OK), 0);
  EXPECT_TRUE(redirector.set_rule(default_rules().front()));
}

TEST_F(LifecycleTest, WhatFailsBesideIsToldAtTheEnd) {
  auto elsewhere = options();
  elsewhere.pin_directory = "/tmp/hagring-no-bpf";
  Redirector redirector(elsewhere, Redirector::Load::beside);
  EXPECT_THROW(redirector.finish_loading(), StartError);
}

TEST_F(LifecycleTest, WhatWasLoadedBesideForNobodyLeavesNoPins) {
  {
    const Redirector redirector(options(), Redirector::Load::beside);
  }
  EXPECT_NE(::access(options().pin_directory.c_str(), F_OK), 0);
}

TEST_F(LifecycleTest, RunsWithoutPins) {
  auto none = options();
  none.pin_directory.clear();
  EXPECT_NO_THROW(Redirector{none});
}

TEST_F(LifecycleTest, ReplacesPinsOfAnotherLayout) {
  const auto directory = options().pin_directory;
  ASSERT_EQ(::mkdir(directory.c_str(), 0700), 0);
  const UniqueFd old(::bpf_map_create(BPF_MAP_TYPE_HASH, "flows", 4, 8, 16, nullptr));
  ASSERT_EQ(::bpf_obj_pin(old.get(), (directory + "/flows").c_str()), 0);
  Redirector redirector(options());
  const UniqueFd now(::bpf_obj_get((directory + "/flows").c_str()));
  bpf_map_info info{};
  __u32 size = sizeof(info);
  ASSERT_EQ(::bpf_obj_get_info_by_fd(now.get(), &info, &size), 0);
  EXPECT_EQ(info.value_size, sizeof(abi::flow));
  EXPECT_EQ(info.max_entries, options().max_flows);
  EXPECT_NE(info.btf_id, 0U);
  struct stat status{};
  ASSERT_EQ(::stat((directory + "/flows").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(LifecycleTest, LeavesNoPinsHoweverItEnds) {
  const auto directory = options().pin_directory;
  {
    const Redirector redirector(options());
  }
  EXPECT_NE(::access(directory.c_str(), F_OK), 0);

  // A directory where a pin should go: it can't be replaced, and what was pinned before it goes.
  ASSERT_EQ(::mkdir(directory.c_str(), 0700), 0);
  const auto obstacle = directory + "/counters";
  ASSERT_EQ(::mkdir(obstacle.c_str(), 0700), 0);
  EXPECT_THROW(Redirector{options()}, StartError);
  EXPECT_NE(::access((directory + "/config").c_str(), F_OK), 0);
  ::rmdir(obstacle.c_str());
  ::rmdir(directory.c_str());
}

TEST_F(LifecycleTest, TouchesNoPinOfOthers) {
  const auto directory = options().pin_directory;
  const auto path = directory + "/config";
  ASSERT_EQ(::mkdir(directory.c_str(), 0700), 0);
  const UniqueFd foreign(::bpf_map_create(BPF_MAP_TYPE_ARRAY, "theirs", 4, 8, 1, nullptr));
  ASSERT_EQ(::bpf_obj_pin(foreign.get(), path.c_str()), 0);
  EXPECT_THROW(Redirector{options()}, StartError);
  const auto removed = remove_left_pins(directory, false);
  ASSERT_TRUE(removed);
  EXPECT_TRUE(removed->empty());
  EXPECT_EQ(::access(path.c_str(), F_OK), 0);
  ::unlink(path.c_str());
  ::rmdir(directory.c_str());
}

TEST_F(LifecycleTest, LeavesThePinsOfItsSuccessor) {
  const auto flows = options().pin_directory + "/flows";
  Redirector first(options());
  Redirector second(options());
  first.remove_pins();
  EXPECT_EQ(::access(flows.c_str(), F_OK), 0);
  second.remove_pins();
  EXPECT_NE(::access(options().pin_directory.c_str(), F_OK), 0);
}

TEST_F(LifecycleTest, TwoAgentsDoNotMeet) {
  Redirector one(options("one"));
  Redirector two(options("two"));
  const ScratchCgroup other_cgroup;
  start_mirror(one);
  const auto other_mirror = listen_on(at("127.0.0.1", 0));
  ASSERT_TRUE(two.set_listeners(other_mirror.get(), -1));
  two.beat();
  const auto attached = one.attach(cgroup_->path());
  const auto other_attached = two.attach(other_cgroup.path());
  ASSERT_TRUE(attached && other_attached);
  const auto to = at(kOriginV4, 443);
  ClientProcess client(cgroup_->path(), connects_when_told(to));
  ClientProcess other_client(other_cgroup.path(), connects_when_told(to));
  set_client(one, client.pid());
  set_client(two, other_client.pid());
  client.say("go");
  EXPECT_EQ(client.hear(), "0");
  EXPECT_TRUE(accept_within(mirror_v4_.get(), seconds(5)));
  EXPECT_TRUE(nobody_came(other_mirror.get()));
  other_client.say("go");
  EXPECT_EQ(other_client.hear(), "0");
  EXPECT_TRUE(accept_within(other_mirror.get(), seconds(5)));
  EXPECT_TRUE(nobody_came(mirror_v4_.get()));
  EXPECT_EQ(one.recent_flows(9).size(), 1U);
  EXPECT_EQ(two.recent_flows(9).size(), 1U);
}

TEST_F(LifecycleTest, TellsWhenTheCgroupWasRemoved) {
  Redirector redirector(options());
  auto attached = redirector.attach(cgroup_->path());
  ASSERT_TRUE(attached);
  EXPECT_TRUE(attached->alive());
  cgroup_->remove();
  EXPECT_FALSE(attached->alive());
  const auto gone = redirector.attach(cgroup_->path());
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error(), Errc::cgroup_gone);
  cgroup_->create();
  EXPECT_FALSE(attached->alive()) << "the old links are not on the new directory";
  EXPECT_TRUE(redirector.attach(cgroup_->path()));
}

TEST_F(LifecycleTest, AttachesToCgroup2Only) {
  Redirector redirector(options());
  EXPECT_EQ(redirector.attach("/tmp").error(), Errc::not_cgroup2);
}

TEST_F(LifecycleTest, RefusesAMirrorOnAllAddresses) {
  Redirector redirector(options());
  const auto everywhere = listen_on(at("0.0.0.0", 0));
  EXPECT_EQ(redirector.set_listeners(everywhere.get(), -1).error(), Errc::not_loopback);
}

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

/// Accepts what waits at `listener` and answers each connection with a byte.
int answer_waiting(int listener, std::chrono::milliseconds limit) {
  int answered = 0;
  for (auto fd = accept_within(listener, limit); fd;
       fd = accept_within(listener, std::chrono::milliseconds(0))) {
    ::send(fd.get(), "x", 1, MSG_NOSIGNAL);
    ++answered;
  }
  return answered;
}

/// An agent that answers until it is killed; says "ready", then "accepted" after 200 connections.
void serve_until_killed(Conversation& parent, const RedirectorOptions& options,
                        const std::string& cgroup) {
  const auto client = std::stoul(parent.hear());
  // As much as a busy agent has: the kernel frees memory before it closes descriptors.
  const std::vector<char> memory(std::size_t{64} << 20, 'm');
  Redirector redirector(options);
  const auto v4 = listen_on(at("127.0.0.1", 0));
  static_cast<void>(redirector.set_listeners(v4.get(), -1));
  const auto attached = redirector.attach(cgroup);
  Client entry;
  entry.tgid = static_cast<std::uint32_t>(client);
  static_cast<void>(redirector.set_client(entry));
  redirector.beat();
  parent.say(attached ? "ready" : attached.error().message());
  for (int answered = 0, told = 0;;) {
    redirector.beat();
    answered += answer_waiting(v4.get(), std::chrono::milliseconds(100));
    if (answered >= 200 && told++ == 0) parent.say("accepted");
  }
}

/// One connection that asks and expects an answer of a byte: 0 or an errno. It speaks first, as
/// clients of registries do: an ACK that meets the listener while that is being closed leaves it
/// with a connection that nobody has, which is told to who sends only.
int ask_once() {
  const auto to = at(kOriginV4, 443);
  const auto socket = make_socket(to);
  const linger reset{1, 0};  // no TIME_WAIT: the ports would run out
  ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  if (::connect(socket.get(), to.data(), static_cast<socklen_t>(to.size())) != 0) return errno;
  if (::send(socket.get(), "?", 1, MSG_NOSIGNAL) != 1) return errno;
  char answer = 0;
  const auto size = ::recv(socket.get(), &answer, 1, 0);
  if (size == 1) return 0;
  return size == 0 ? ENODATA : errno;
}

/// Eight threads that ask in loops. Told "stop <time>", says how many that began after that time
/// failed.
void ask_in_loops(Conversation& parent) {
  struct Failure {
    std::uint64_t begun;
    int error;
  };
  parent.hear();
  std::atomic<bool> stop = false;
  std::array<std::vector<Failure>, 8> failures;
  std::vector<std::thread> threads;
  for (auto& mine : failures) {
    threads.emplace_back([&stop, &mine] {
      while (!stop) {
        const auto begun = now_ns();
        if (const int error = ask_once(); error != 0) mine.push_back({begun, error});
      }
    });
  }
  const auto gone = std::stoull(parent.hear());
  stop = true;
  for (auto& thread : threads) thread.join();
  int failed = 0;
  std::string errors;
  for (const auto& mine : failures) {
    for (const auto& failure : mine) {
      if (failure.begun < gone) continue;
      ++failed;
      errors += " +" + std::to_string((failure.begun - gone) / 1000) + " us " +
                std::strerror(failure.error);
    }
  }
  parent.say(std::to_string(failed) + " failed" + errors);
}

TEST_F(LifecycleTest, LinksAreInNoTableThatTakesLongToClose) {
  const auto links_here = [] {
    int links = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      links +=
          std::filesystem::read_symlink(entry, gone).string().find("bpf_link") != std::string::npos;
    }
    return links;
  };
  Redirector redirector(options());
  const auto attached = redirector.attach(cgroup_->path());
  ASSERT_TRUE(attached);
  EXPECT_TRUE(attached->alive());
  EXPECT_EQ(links_here(), 0);
  // Nor does the keeper hold what is not its business: a socket that is closed here is closed.
  auto listener = listen_on(at("127.0.0.1", 0));
  const Redirector other(options("other"));
  const auto address = local_of(listener.get());
  listener.reset();
  EXPECT_TRUE(listen_on(address));
}

TEST_F(LifecycleTest, NoConnectionFailsThatBeganAfterTheAgentsDeath) {
  const auto origin = listen_on(at(kOriginV4, 443));
  const auto cgroup = cgroup_->path();
  const auto with = options();
  for (int round = 0; round < 20; ++round) {
    ClientProcess client(cgroup, ask_in_loops);
    ClientProcess agent("",
                        [=](Conversation& parent) { serve_until_killed(parent, with, cgroup); });
    agent.say(std::to_string(client.pid()));
    ASSERT_EQ(agent.hear(), "ready");
    client.say("go");
    ASSERT_EQ(agent.hear(), "accepted");
    agent.kill();
    const auto gone = now_ns();
    for (int answered = 0; answered < 1000;) {
      const int more = answer_waiting(origin.get(), seconds(5));
      ASSERT_GT(more, 0) << "round " << round;
      answered += more;
    }
    client.say(std::to_string(gone));
    // The threads may be waiting for answers still, or for a second for their SYN to be sent again.
    std::string end;
    std::atomic<bool> ended = false;
    std::thread listening([&] {
      end = client.hear();
      ended = true;
    });
    while (!ended) answer_waiting(origin.get(), std::chrono::milliseconds(50));
    listening.join();
    EXPECT_EQ(end, "0 failed") << "round " << round;
  }
  EXPECT_EQ(output_of("bpftool cgroup show " + cgroup), "");
  EXPECT_THAT(output_of("bpftool -j map dump pinned " + with.pin_directory + "/clients"),
              ::testing::HasSubstr("redirected"))
      << "the pinned maps stay readable";
}

TEST_F(LifecycleTest, NoConnectionFailsThatBeganAfterOneAgentFollowedAnother) {
  const auto cgroup = cgroup_->path();
  const auto with = options();
  const auto serve = [=](Conversation& parent) { serve_until_killed(parent, with, cgroup); };
  ClientProcess client(cgroup, ask_in_loops);
  ClientProcess first("", serve);
  first.say(std::to_string(client.pid()));
  ASSERT_EQ(first.hear(), "ready");
  client.say("go");
  ASSERT_EQ(first.hear(), "accepted");
  ClientProcess second("", serve);
  second.say(std::to_string(client.pid()));
  ASSERT_EQ(second.hear(), "ready");
  first.kill();
  const auto gone = now_ns();
  ASSERT_EQ(second.hear(), "accepted");
  client.say(std::to_string(gone));
  EXPECT_EQ(client.hear(), "0 failed");
}

TEST_F(LifecycleTest, AProgramOnAKilledAgentsPortGetsNothing) {
  const auto origin = listen_on(at(kOriginV4, 443));
  const auto address = at("127.0.0.1", 20443);
  Redirector redirector(options());
  ClientProcess owner("", [address](Conversation& parent) {
    static UniqueFd listener = listen_on(address);
    parent.say(listener ? std::to_string(listener.get()) : "refused");
  });
  const auto its_number = owner.hear();
  ASSERT_NE(its_number, "refused");
  {
    // The hook outlives the listener's owner here, as in the moment of an agent's death.
    const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, owner.pid(), 0)));
    const UniqueFd listener(
        static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), std::stoi(its_number), 0)));
    ASSERT_TRUE(redirector.set_listeners(listener.get(), -1));
  }
  redirector.beat();
  const auto attached = redirector.attach(cgroup_->path());
  ASSERT_TRUE(attached);
  ClientProcess client(cgroup_->path(), connects_when_told(at(kOriginV4, 443)));
  set_client(redirector, client.pid());
  client.say("go");
  EXPECT_EQ(client.hear(), "0");
  EXPECT_EQ(counter(redirector, "redirected"), 1U);
  owner.kill();
  const auto squatter = listen_on(address);
  ASSERT_TRUE(squatter);
  client.say("go");
  EXPECT_EQ(client.hear(), "0");
  EXPECT_TRUE(accept_within(origin.get(), seconds(5)));
  EXPECT_TRUE(nobody_came(squatter.get()));
  EXPECT_EQ(counter(redirector, "passed_foreign_listener"), 1U);
}

}  // namespace
}  // namespace hagring::redirect::test
