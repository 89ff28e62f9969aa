// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "userspace/base/unique_fd.hpp"

namespace hagring::test {

/// The folder with containerd's and ctr's binaries of a version line (`1.6`), which
/// scripts/fetch_containerd.sh unpacks; empty where it hasn't run.
std::filesystem::path containerd_binaries(const std::string& version);

/// A folder in /tmp that goes with its owner; its path is short enough for sockets.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// A program that ends with its owner, in an environment with a PATH and nothing else.
class ChildProcess {
 public:
  /// `input` becomes its standard input (/dev/null if there is none); output and errors go to
  /// `log`.
  ChildProcess(const std::vector<std::string>& command, const std::filesystem::path& log,
               UniqueFd input = UniqueFd());
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  /// Waits for its end; returns the exit code, 128 + signal if one ended it.
  int wait();
  void signal(int number) const;

 private:
  pid_t pid_ = -1;
};

/// A real containerd with root, state and socket of its own.
class Daemon {
 public:
  enum class Cri { off, on };
  explicit Daemon(const std::string& version, Cri cri = Cri::off);
  ~Daemon();

  /// Returns when it listens.
  void start();
  /// SIGTERM, and waits for its end.
  void stop();

  std::string socket() const { return folder_.path() / "c.sock"; }
  std::string content_root() const {
    return folder_.path() / "root" / "io.containerd.content.v1.content";
  }
  const std::filesystem::path& folder() const { return folder_.path(); }
  std::string log() const;

  /// Runs `ctr -n <name_space> …`; fails the test when that fails.
  void ctr(const std::vector<std::string>& arguments, const std::string& name_space = "k8s.io");
  /// `ctr -n <name_space> …` as a command line, to run it at one's own pace.
  std::vector<std::string> ctr_command(const std::vector<std::string>& arguments,
                                       const std::string& name_space = "k8s.io") const;

 private:
  std::filesystem::path binaries_;
  TemporaryFolder folder_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace hagring::test
