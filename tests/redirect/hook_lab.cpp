// SPDX-License-Identifier: Apache-2.0
#include "tests/redirect/hook_lab.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

namespace hagring::redirect::test {
namespace {

bool wait_for(int fd, short events, std::chrono::milliseconds limit) {
  pollfd poll_fd{fd, events, 0};
  return ::poll(&poll_fd, 1, static_cast<int>(limit.count())) == 1;
}

/// The first mount of cgroup2 that /proc/self/mountinfo names.
std::string cgroup2_mount() {
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(" - cgroup2 ") == std::string::npos) continue;
    std::istringstream fields(line);
    std::string field;
    for (int i = 0; i < 5; ++i) fields >> field;
    return field;
  }
  return {};
}

void write_file(const std::string& path, const std::string& text) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), text.data(), text.size()) < 0) {
    std::fprintf(stderr, "writing %s: %s\n", path.c_str(), std::strerror(errno));
  }
}

/// Enters namespaces of our own, once a process. Returns why not.
std::string enter_lab(std::string& bpf_directory) {
  static std::string directory;
  static const std::string problem = []() -> std::string {
    if (::geteuid() != 0) return "needs root";
    if (cgroup2_mount().empty()) return "needs a mount of cgroup2";
    if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
      return std::string("unshare: ") + std::strerror(errno);
    }
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    std::array<char, 64> name{"/tmp/hagring-hook-bpf-XXXXXX"};
    if (::mkdtemp(name.data()) == nullptr) return "mkdtemp failed";
    directory = name.data();
    if (::mount("bpf", name.data(), "bpf", 0, "mode=0700") != 0) {
      return std::string("mounting a BPF file system: ") + std::strerror(errno);
    }
    std::atexit([] {
      ::umount2(directory.c_str(), MNT_DETACH);
      ::rmdir(directory.c_str());
    });
    const auto command = std::string("ip link set lo up && ip addr add ") + kOriginV4 +
                         "/32 dev lo && ip addr add " + kHostV4 + "/32 dev lo && ip addr add " +
                         kOriginV6 + "/128 dev lo nodad";
    if (std::system(command.c_str()) != 0) return "ip addr add failed; is iproute2 installed?";
    return "";
  }();
  bpf_directory = directory;
  return problem;
}

}  // namespace

Endpoint at(const std::string& address, std::uint16_t port) {
  return {asio::ip::make_address(address), port};
}

UniqueFd make_socket(const Endpoint& to) {
  return UniqueFd(::socket(to.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
}

int connect_to(int fd, const Endpoint& to) {
  const int flags = ::fcntl(fd, F_GETFL);
  ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  int error = ::connect(fd, to.data(), static_cast<socklen_t>(to.size())) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    socklen_t size = sizeof(error);
    if (!wait_for(fd, POLLOUT, std::chrono::seconds(5))) {
      error = ETIMEDOUT;
    } else if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
      error = errno;
    }
  }
  ::fcntl(fd, F_SETFL, flags);
  return error;
}

std::string peer_name(int fd) {
  Endpoint name;
  auto size = static_cast<socklen_t>(name.capacity());
  if (::getpeername(fd, name.data(), &size) != 0) return std::strerror(errno);
  name.resize(size);
  return name.address().to_string() + ":" + std::to_string(name.port());
}

UniqueFd listen_on(const Endpoint& address) {
  UniqueFd fd = make_socket(address);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (address.address().is_v6()) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  }
  if (::bind(fd.get(), address.data(), static_cast<socklen_t>(address.size())) != 0 ||
      ::listen(fd.get(), 4096) != 0) {
    std::perror("listen_on");
    return UniqueFd();
  }
  return fd;
}

Endpoint local_of(int fd) {
  Endpoint name;
  auto size = static_cast<socklen_t>(name.capacity());
  ::getsockname(fd, name.data(), &size);
  name.resize(size);
  return name;
}

UniqueFd accept_within(int listener, std::chrono::milliseconds limit) {
  if (!wait_for(listener, POLLIN, limit)) return UniqueFd();
  return UniqueFd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
}

bool nobody_came(int listener) { return !wait_for(listener, POLLIN, std::chrono::milliseconds(0)); }

ScratchCgroup::ScratchCgroup() {
  static int number = 0;
  path_ = cgroup2_mount() + "/hagring-hook-" + std::to_string(::getpid()) + "-" +
          std::to_string(number++);
  create();
}

ScratchCgroup::~ScratchCgroup() { remove(); }

void ScratchCgroup::create() {
  if (::mkdir(path_.c_str(), 0755) != 0) std::perror(path_.c_str());
}

void ScratchCgroup::remove() {
  std::ifstream processes(path_ + "/cgroup.procs");
  for (std::string pid; std::getline(processes, pid);) {
    write_file(cgroup2_mount() + "/cgroup.procs", pid);
  }
  processes.close();
  if (::rmdir(path_.c_str()) != 0 && errno != ENOENT) std::perror(path_.c_str());
}

void Conversation::say(const std::string& line) {
  const auto text = line + "\n";
  [[maybe_unused]] const auto sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

std::string Conversation::hear() {
  std::string line;
  char c = 0;
  while (wait_for(fd_.get(), POLLIN, std::chrono::seconds(10)) && ::read(fd_.get(), &c, 1) == 1) {
    if (c == '\n') return line;
    line += c;
  }
  return {};
}

ClientProcess::ClientProcess(const std::string& cgroup_path, Body body) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 || ends[1] < 4) std::abort();
  pid_ = ::fork();
  if (pid_ == 0) {
    // The parent's links and listeners must end with the parent's descriptors.
    const auto ours = static_cast<unsigned>(ends[1]);
    ::close_range(3, ours - 1, 0);
    ::close_range(ours + 1, ~0U, 0);
    Conversation parent{UniqueFd(ends[1])};
    if (!cgroup_path.empty()) write_file(cgroup_path + "/cgroup.procs", "0");
    parent.say("here");
    body(parent);
    char end = 0;
    [[maybe_unused]] const auto ended = ::read(ends[1], &end, 1);
    ::_exit(0);
  }
  ::close(ends[1]);
  conversation_ = std::make_unique<Conversation>(UniqueFd(ends[0]));
  EXPECT_EQ(conversation_->hear(), "here");
}

ClientProcess::~ClientProcess() { kill(); }

void ClientProcess::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return text;
  std::array<char, 4096> buffer;
  while (const auto size = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    text.append(buffer.data(), size);
  }
  ::pclose(pipe);
  return text;
}

void HookTest::SetUp() {
  if (const auto problem = enter_lab(bpf_directory_); !problem.empty()) {
    GTEST_SKIP() << "SKIPPED, the hook was not tested: " << problem;
  }
  cgroup_ = std::make_unique<ScratchCgroup>();
}

RedirectorOptions HookTest::options(const std::string& name) const {
  RedirectorOptions options;
  options.pin_directory = bpf_directory_ + "/" + name;
  options.max_flows = 1024;
  options.heartbeat_timeout = std::chrono::minutes(1);
  return options;
}

void HookTest::start_mirror(Redirector& redirector) {
  mirror_v4_ = listen_on(at("127.0.0.1", 0));
  mirror_v6_ = listen_on(at("::1", 0));
  const auto named = redirector.set_listeners(mirror_v4_.get(), mirror_v6_.get());
  ASSERT_TRUE(named) << named.error().message();
  redirector.beat();
}

void HookTest::set_client(Redirector& redirector, pid_t pid) {
  Client client;
  client.tgid = client.pid = static_cast<std::uint32_t>(pid);
  client.comm = "containerd";
  client.cgroup = cgroup_->path();
  const auto set = redirector.set_client(client);
  ASSERT_TRUE(set) << set.error().message();
}

void AttachedHookTest::SetUp() {
  HookTest::SetUp();
  if (!IsSkipped()) attach(options());
}

void AttachedHookTest::attach(const RedirectorOptions& with) {
  attachment_.reset();
  redirector_ = std::make_unique<Redirector>(with);
  start_mirror(*redirector_);
  auto attached = redirector_->attach(cgroup_->path());
  ASSERT_TRUE(attached) << attached.error().message();
  attachment_ = std::make_unique<Attachment>(std::move(*attached));
}

std::unique_ptr<ClientProcess> AttachedHookTest::client(ClientProcess::Body body) {
  auto process = std::make_unique<ClientProcess>(cgroup_->path(), std::move(body));
  set_client(*redirector_, process->pid());
  return process;
}

std::uint64_t HookTest::counter(const Redirector& redirector, std::string_view name) {
  for (const auto& one : redirector.counters()) {
    if (one.name == name) return one.value;
  }
  ADD_FAILURE() << "no counter " << name;
  return 0;
}

}  // namespace hagring::redirect::test
