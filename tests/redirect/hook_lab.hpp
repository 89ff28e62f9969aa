// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/types.h>

#include <functional>
#include <string>

#include "userspace/base/asio.hpp"
#include "userspace/base/unique_fd.hpp"
#include "userspace/redirect/redirector.hpp"

namespace hagring::redirect::test {

using Endpoint = asio::ip::tcp::endpoint;

/// An address that only this test's network namespace has, as the "internet" (RFC 5737, RFC 3849).
inline constexpr const char* kOriginV4 = "198.51.100.1";
inline constexpr const char* kOriginV6 = "2001:db8::1";
/// One more of each, for a client that binds its own address.
inline constexpr const char* kHostV4 = "192.0.2.7";

Endpoint at(const std::string& address, std::uint16_t port);

/// A TCP socket for `to`'s family; ::ffff:a.b.c.d counts as IPv6.
UniqueFd make_socket(const Endpoint& to);
/// connect(), waiting five seconds at most; 0 or the errno.
int connect_to(int fd, const Endpoint& to);
/// What getpeername() shows, as "address:port".
std::string peer_name(int fd);
/// A listening socket; port 0 lets the kernel choose.
UniqueFd listen_on(const Endpoint& address);
Endpoint local_of(int fd);
/// The next connection, or an invalid descriptor after `limit`.
UniqueFd accept_within(int listener, std::chrono::milliseconds limit);
/// Whether nobody is waiting to be accepted.
bool nobody_came(int listener);

/// A cgroup v2 directory of this test's own; processes still in it at the end are moved out.
class ScratchCgroup {
 public:
  ScratchCgroup();
  ~ScratchCgroup();
  const std::string& path() const { return path_; }
  void remove();
  void create();

 private:
  std::string path_;
};

/// The test's end, or the child's, of a conversation in lines.
class Conversation {
 public:
  explicit Conversation(UniqueFd fd) : fd_(std::move(fd)) {}
  void say(const std::string& line);
  /// The next line; empty after ten seconds or at the other's end.
  std::string hear();

 private:
  UniqueFd fd_;
};

/// A child in a cgroup. `body` runs in it; the child stays until its conversation ends.
class ClientProcess {
 public:
  using Body = std::function<void(Conversation&)>;

  /// Returns when the child is in the cgroup; it then waits for the first line if it wants to.
  ClientProcess(const std::string& cgroup_path, Body body);
  ~ClientProcess();
  ClientProcess(const ClientProcess&) = delete;
  ClientProcess& operator=(const ClientProcess&) = delete;

  pid_t pid() const { return pid_; }
  void say(const std::string& line) { conversation_->say(line); }
  std::string hear() { return conversation_->hear(); }
  void kill();

 private:
  pid_t pid_ = -1;
  std::unique_ptr<Conversation> conversation_;
};

/// Reads what a command writes; for bpftool.
std::string output_of(const std::string& command);

/// Network and mount namespace of its own, a BPF file system, addresses, a cgroup. Skips loudly
/// where that can't be had.
class HookTest : public ::testing::Test {
 protected:
  void SetUp() override;

  /// Options with a pin directory of this process's own.
  RedirectorOptions options(const std::string& name = "hagring") const;
  /// Listeners on both loopbacks, named to `redirector`, and a first heartbeat.
  void start_mirror(Redirector& redirector);
  void set_client(Redirector& redirector, pid_t pid);
  static std::uint64_t counter(const Redirector& redirector, std::string_view name);

  std::string bpf_directory_;
  UniqueFd mirror_v4_;
  UniqueFd mirror_v6_;
  std::unique_ptr<ScratchCgroup> cgroup_;
};

/// The same with the hook attached to the cgroup.
class AttachedHookTest : public HookTest {
 protected:
  void SetUp() override;

  /// Loads the hook anew with these options, and attaches it.
  void attach(const RedirectorOptions& with);
  /// A client that is redirected and runs `body`.
  std::unique_ptr<ClientProcess> client(ClientProcess::Body body);

  std::unique_ptr<Redirector> redirector_;
  std::unique_ptr<Attachment> attachment_;
};

}  // namespace hagring::redirect::test
