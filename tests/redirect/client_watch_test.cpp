// SPDX-License-Identifier: Apache-2.0
// Following the process behind a socket, and keeping the hook on it.
#include "userspace/redirect/client_watch.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <boost/asio/io_context.hpp>
#include <deque>
#include <fstream>

#include "tests/redirect/hook_lab.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/redirect/error.hpp"
#include "userspace/redirect/interception.hpp"
#include "userspace/redirect/process.hpp"

namespace hagring::redirect::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

UniqueFd listen_on_unix(const std::string& path, int backlog) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  ::unlink(path.c_str());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(fd.get(), backlog) != 0) {
    return UniqueFd();
  }
  return fd;
}

/// Plays containerd: owns a socket, moves to other cgroups and connects when told to.
void play_containerd(Conversation& parent) {
  UniqueFd listener;
  for (;;) {
    const auto line = parent.hear();
    const auto space = line.find(' ');
    const auto verb = line.substr(0, space);
    const auto rest = space == std::string::npos ? "" : line.substr(space + 1);
    if (verb == "listen") {
      listener = listen_on_unix(rest, 1024);
      parent.say(listener ? "0" : "failed");
    } else if (verb == "join") {
      std::ofstream(rest + "/cgroup.procs") << "0" << std::flush;
      parent.say("0");
    } else if (verb == "connect") {
      const auto socket = make_socket(at(kOriginV4, 443));
      parent.say(std::to_string(connect_to(socket.get(), at(kOriginV4, 443))));
    } else {
      return;
    }
  }
}

class ClientWatchTest : public HookTest, public ClientWatch::Observer {
 protected:
  void SetUp() override {
    HookTest::SetUp();
    if (IsSkipped()) return;
    watch_options_.socket = [this] { return socket_path_; };
    watch_options_.search_interval = milliseconds(5);
    watch_options_.reconcile_interval = milliseconds(20);
  }

  void TearDown() override {
    tasks_.cancel();
    until([this] { return tasks_.size() == 0; });
    ::unlink(socket_path_.c_str());
  }

  std::unique_ptr<ClientProcess> containerd() {
    auto process = std::make_unique<ClientProcess>(cgroup_->path(), play_containerd);
    process->say("listen " + socket_path_);
    EXPECT_EQ(process->hear(), "0");
    return process;
  }

  /// Runs the watch until `condition` holds; false after ten seconds.
  template <typename Condition>
  bool until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + seconds(10);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      context_.restart();
      context_.run_one_for(milliseconds(50));
    }
    return true;
  }

  void client_present(const WatchedClient& client) override { present_ = client; }
  void client_gone(const WatchedClient& client) override {
    present_.reset();
    gone_ = client.pid;
  }
  void client_missing(const error_code& reason) override { missing_ = reason; }

  void start_watch() {
    watch_ = std::make_unique<ClientWatch>(clock_, *this, watch_options_);
    tasks_.spawn([this] { return watch_->run(); });
  }

  asio::io_context context_;
  SystemClock clock_;
  TaskGroup tasks_{context_.get_executor(), "watch"};
  const std::string socket_path_ = "/tmp/hagring-hook-" + std::to_string(::getpid()) + ".sock";
  ClientWatchOptions watch_options_;
  std::unique_ptr<ClientWatch> watch_;
  std::optional<WatchedClient> present_;
  error_code missing_;
  pid_t gone_ = 0;
};

TEST_F(ClientWatchTest, SaysThatNoSocketIsKnownYet) {
  const auto owner = socket_owner("");
  ASSERT_FALSE(owner);
  EXPECT_EQ(owner.error(), Errc::no_socket);
}

TEST_F(ClientWatchTest, FollowsAClientFromItsBeginToItsEndAndAgain) {
  start_watch();
  ASSERT_TRUE(until([&] { return missing_.value() == ENOENT; })) << "no socket yet";
  auto process = containerd();
  ASSERT_TRUE(until([&] { return present_.has_value(); }));
  EXPECT_EQ(present_->pid, process->pid());
  EXPECT_EQ(present_->cgroup.path, cgroup_->path());
  EXPECT_NE(present_->cgroup.id, 0U);
  EXPECT_NE(present_->comm, "");
  EXPECT_NE(present_->start_time, 0U);
  const auto first = process->pid();
  process->kill();
  ASSERT_TRUE(until([&] { return gone_ == first; }));
  ASSERT_TRUE(until([&] { return missing_.value() == ECONNREFUSED; })) << "a dangling socket";
  process = containerd();
  ASSERT_TRUE(until([&] { return present_ && present_->pid == process->pid(); }));
}

TEST_F(ClientWatchTest, NoticesAnotherOwnerOfTheSocket) {
  const auto first = containerd();
  start_watch();
  ASSERT_TRUE(until([&] { return present_ && present_->pid == first->pid(); }));
  const auto second = containerd();
  ASSERT_TRUE(until([&] { return present_ && present_->pid == second->pid(); }));
  EXPECT_EQ(gone_, first->pid());
}

TEST_F(ClientWatchTest, NoticesAMoveToAnotherCgroup) {
  const ScratchCgroup other;
  const auto process = containerd();
  start_watch();
  ASSERT_TRUE(until([&] { return present_.has_value(); }));
  process->say("join " + other.path());
  EXPECT_EQ(process->hear(), "0");
  EXPECT_TRUE(until([&] { return present_->cgroup.path == other.path(); }));
  EXPECT_EQ(gone_, 0);
}

TEST_F(ClientWatchTest, KeepsAClientWhoseSocketIsGone) {
  const auto process = containerd();
  start_watch();
  ASSERT_TRUE(until([&] { return present_.has_value(); }));
  ::unlink(socket_path_.c_str());
  present_.reset();
  EXPECT_TRUE(until([&] { return present_.has_value(); })) << "still there at the next reconcile";
  EXPECT_EQ(gone_, 0);
}

TEST_F(ClientWatchTest, ReportsWhatIsNoSocket) {
  std::ofstream(socket_path_) << "a file";
  start_watch();
  EXPECT_TRUE(until([&] { return missing_.value() == ECONNREFUSED; }));
}

TEST_F(ClientWatchTest, NeverWaitsForAFullQueue) {
  const auto listener = listen_on_unix(socket_path_, 0);
  Result<pid_t> owner = 0;
  for (int i = 0; i < 3 && owner; ++i) owner = socket_owner(socket_path_);
  ASSERT_FALSE(owner);
  EXPECT_EQ(owner.error(), hagring::Errc::unavailable);
}

TEST_F(ClientWatchTest, RefusesASocketPathThatIsTooLong) {
  EXPECT_EQ(socket_owner(std::string(200, 'x')).error().value(), ENAMETOOLONG);
}

class InterceptionTest : public ClientWatchTest {
 protected:
  void SetUp() override {
    ClientWatchTest::SetUp();
    if (IsSkipped()) return;
    redirector_ = std::make_unique<Redirector>(options());
    start_mirror(*redirector_);
    origin_ = listen_on(at(kOriginV4, 443));
    interception_ = std::make_unique<Interception>(
        *redirector_, clock_, watch_options_,
        [this](const InterceptionState& state) { states_.push_back(state); });
    tasks_.spawn([this] { return interception_->run(); });
  }

  /// Where the next connect of `process` arrives.
  std::string destination(ClientProcess& process) {
    process.say("connect");
    EXPECT_EQ(process.hear(), "0");
    if (accept_within(origin_.get(), milliseconds(0))) return "origin";
    return accept_within(mirror_v4_.get(), seconds(5)) ? "mirror" : "nowhere";
  }
  bool intercepts(const ClientProcess& process) {
    const auto& state = interception_->state();
    return state.attached && state.client->pid == process.pid();
  }

  std::unique_ptr<Redirector> redirector_;
  std::unique_ptr<Interception> interception_;
  std::deque<InterceptionState> states_;
  UniqueFd origin_;
};

TEST_F(InterceptionTest, TakesTheClientOnlyAndFollowsItsRestart) {
  auto process = containerd();
  ClientProcess shim(cgroup_->path(), play_containerd);
  ASSERT_TRUE(until([&] { return intercepts(*process); }));
  EXPECT_EQ(destination(*process), "mirror");
  EXPECT_EQ(destination(shim), "origin") << "same cgroup, another process";
  process->kill();
  ASSERT_TRUE(until([&] { return !interception_->state().client; }));
  process = containerd();
  ASSERT_TRUE(until([&] { return intercepts(*process); }));
  EXPECT_EQ(destination(*process), "mirror");
  EXPECT_EQ(destination(shim), "origin");
}

TEST_F(InterceptionTest, AttachesAgainWhenTheCgroupWasMadeAnew) {
  const auto process = containerd();
  ASSERT_TRUE(until([&] { return intercepts(*process); }));
  const auto before = interception_->state().client->cgroup.id;
  cgroup_->remove();
  cgroup_->create();
  process->say("join " + cgroup_->path());
  EXPECT_EQ(process->hear(), "0");
  ASSERT_TRUE(until([&] {
    return intercepts(*process) && interception_->state().client->cgroup.id != before &&
           interception_->state().client->cgroup.path == cgroup_->path();
  }));
  EXPECT_EQ(destination(*process), "mirror");
}

TEST_F(InterceptionTest, FollowsTheClientToAnotherCgroup) {
  const ScratchCgroup other;
  const auto process = containerd();
  ASSERT_TRUE(until([&] { return intercepts(*process); }));
  process->say("join " + other.path());
  EXPECT_EQ(process->hear(), "0");
  ASSERT_TRUE(until([&] { return interception_->state().client->cgroup.path == other.path(); }));
  EXPECT_EQ(destination(*process), "mirror");
  EXPECT_EQ(output_of("bpftool cgroup show " + cgroup_->path()), "");
}

TEST_F(InterceptionTest, LetsGoWhenItIsStopped) {
  const auto process = containerd();
  ASSERT_TRUE(until([&] { return intercepts(*process); }));
  tasks_.cancel();
  ASSERT_TRUE(until([&] { return tasks_.size() == 0; }));
  EXPECT_EQ(destination(*process), "origin");
  EXPECT_EQ(output_of("bpftool cgroup show " + cgroup_->path()), "");
}

TEST_F(InterceptionTest, TellsEachChangeOnce) {
  const auto process = containerd();
  ASSERT_TRUE(until([&] { return intercepts(*process); }));
  const auto told = states_.size();
  // Several reconciles later nothing new has been told.
  const auto end = std::chrono::steady_clock::now() + 5 * watch_options_.reconcile_interval;
  until([&] { return std::chrono::steady_clock::now() > end; });
  EXPECT_EQ(states_.size(), told);
  EXPECT_TRUE(states_.back().attached);
}

}  // namespace
}  // namespace hagring::redirect::test
