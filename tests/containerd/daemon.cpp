// SPDX-License-Identifier: Apache-2.0
#include "tests/containerd/daemon.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "registry/containerd/sockets.hpp"

namespace hagring::test {
namespace {

using namespace std::chrono_literals;

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string configuration(const std::filesystem::path& folder, Daemon::Cri cri) {
  std::ostringstream text;
  // What isn't needed is off: it takes time to load, and some of it touches the machine.
  text << "version = 2\nroot = '" << folder.string() << "/root'\nstate = '" << folder.string()
       << "/state'\ndisabled_plugins = ['io.containerd.snapshotter.v1.devmapper', "
          "'io.containerd.snapshotter.v1.zfs', 'io.containerd.snapshotter.v1.btrfs', "
          "'io.containerd.snapshotter.v1.aufs', 'io.containerd.internal.v1.opt', "
          "'io.containerd.nri.v1.nri', 'io.containerd.tracing.processor.v1.otlp', "
          "'io.containerd.internal.v1.tracing'";
  if (cri == Daemon::Cri::off) {
    text << ", 'io.containerd.grpc.v1.cri', 'io.containerd.cri.v1.images', "
            "'io.containerd.cri.v1.runtime'";
  }
  text << "]\n[grpc]\n  address = '" << folder.string() << "/c.sock'\n[ttrpc]\n  address = '"
       << folder.string() << "/t.sock'\n";
  return text.str();
}

}  // namespace

std::filesystem::path containerd_binaries(const std::string& version) {
  const char* cache = std::getenv("HAGRING_LAB_CACHE");
  const auto folder = std::filesystem::path(cache != nullptr ? cache : HAGRING_LAB_CACHE) /
                      ("containerd-" + version) / "usr/bin";
  return std::filesystem::exists(folder / "containerd") ? folder : std::filesystem::path();
}

TemporaryFolder::TemporaryFolder() {
  char name[] = "/tmp/hagring-cd-XXXXXX";
  if (::mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp failed");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

ChildProcess::ChildProcess(const std::vector<std::string>& command,
                           const std::filesystem::path& log, UniqueFd input) {
  std::vector<char*> arguments;
  for (const auto& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
  arguments.push_back(nullptr);
  char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  char* environment[] = {path, nullptr};
  const UniqueFd output(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!input) input.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ > 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(input.get(), 0);
  ::dup2(output.get(), 1);
  ::dup2(output.get(), 2);
  ::execve(arguments[0], arguments.data(), environment);
  ::_exit(127);
}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  signal(SIGKILL);
  wait();
}

int ChildProcess::wait() {
  int status = 0;
  if (pid_ < 0 || ::waitpid(pid_, &status, 0) != pid_) return -1;
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void ChildProcess::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

Daemon::Daemon(const std::string& version, Cri cri) : binaries_(containerd_binaries(version)) {
  std::ofstream(folder() / "config.toml") << configuration(folder(), cri);
}

Daemon::~Daemon() {
  if (testing::Test::HasFailure()) std::fprintf(stderr, "%s\n", log().c_str());
}

void Daemon::start() {
  process_ = std::make_unique<ChildProcess>(
      std::vector<std::string>{binaries_ / "containerd", "--config", folder() / "config.toml"},
      folder() / "log");
  // Nothing tells when it listens: ask until it does.
  const auto end = std::chrono::steady_clock::now() + 30s;
  while (!containerd::listener_of(socket())) {
    if (std::chrono::steady_clock::now() > end) {
      throw std::runtime_error("containerd does not listen:\n" + log());
    }
    std::this_thread::sleep_for(10ms);
  }
}

void Daemon::stop() {
  process_->signal(SIGTERM);
  process_->wait();
  process_.reset();
}

std::string Daemon::log() const { return read_text(folder() / "log"); }

std::vector<std::string> Daemon::ctr_command(const std::vector<std::string>& arguments,
                                             const std::string& name_space) const {
  std::vector<std::string> command{binaries_ / "ctr", "-a", socket(), "-n", name_space};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

void Daemon::ctr(const std::vector<std::string>& arguments, const std::string& name_space) {
  const auto output = folder() / "ctr";
  std::filesystem::remove(output);
  const auto code = ChildProcess(ctr_command(arguments, name_space), output).wait();
  ASSERT_EQ(code, 0) << "ctr " << arguments[0] << ' ' << arguments[1] << ": " << read_text(output);
}

}  // namespace hagring::test
