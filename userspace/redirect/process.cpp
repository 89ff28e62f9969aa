// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/process.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "userspace/redirect/error.hpp"
#include "userspace/redirect/proc_file.hpp"

namespace hagring::redirect {
namespace {

/// PROC_PID_INIT_INO, include/linux/proc_ns.h: fixed in all kernels.
constexpr ino_t kInitialPidNamespace = 0xEFFFFFFC;

}  // namespace

Result<pid_t> socket_owner(const std::string& socket_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.empty()) return Errc::no_socket;
  if (socket_path.size() >= sizeof(address.sun_path)) {
    return error_code(ENAMETOOLONG, boost::system::system_category());
  }
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return last_system_error();
  // A Unix socket that doesn't block connects at once or never: EAGAIN means a full queue.
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return errno == EAGAIN ? make_error_code(hagring::Errc::unavailable) : last_system_error();
  }
  ucred owner{};
  socklen_t size = sizeof(owner);
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &owner, &size) != 0) {
    return last_system_error();
  }
  if (owner.pid <= 0) return Errc::no_host_pids;
  return owner.pid;
}

Result<UniqueFd> open_pidfd(pid_t pid) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return last_system_error();
  return fd;
}

Result<std::string> process_comm(pid_t pid, const std::string& proc) {
  TRY(auto comm, read_proc_file(proc + "/" + std::to_string(pid) + "/comm"));
  if (comm.ends_with('\n')) comm.pop_back();
  return comm;
}

Result<std::uint64_t> process_start_time(pid_t pid, const std::string& proc) {
  TRY(const auto stat, read_proc_file(proc + "/" + std::to_string(pid) + "/stat"));
  // The name, field 2, is in parentheses and may hold anything, parentheses too.
  auto at = stat.rfind(')');
  for (int field = 2; at != std::string::npos && field < 22; ++field) at = stat.find(' ', at + 1);
  std::uint64_t ticks = 0;
  if (at == std::string::npos ||
      std::from_chars(stat.data() + at + 1, stat.data() + stat.size(), ticks).ec != std::errc()) {
    return hagring::Errc::bad_message;
  }
  return ticks;
}

WallTime wall_time_of(std::uint64_t start_time) {
  timespec since_boot{};
  ::clock_gettime(CLOCK_BOOTTIME, &since_boot);
  const auto boot = std::chrono::system_clock::now() - std::chrono::seconds(since_boot.tv_sec) -
                    std::chrono::nanoseconds(since_boot.tv_nsec);
  const auto ticks_per_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  return boot + std::chrono::milliseconds(start_time * 1000 / ticks_per_second);
}

bool in_initial_pid_namespace() {
  struct stat status{};
  return ::stat("/proc/self/ns/pid", &status) == 0 && status.st_ino == kInitialPidNamespace;
}

}  // namespace hagring::redirect
