// SPDX-License-Identifier: Apache-2.0
#include "userspace/systemd/notifier.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <charconv>
#include <cstring>

#include "userspace/base/log.hpp"
#include "userspace/base/result.hpp"

namespace hagring::systemd {
namespace {

/// Below this a busy machine, or one slow write, costs an agent that is well.
constexpr Duration kBriefestWatchdog = std::chrono::seconds(2);

std::optional<std::uint64_t> number(const char* text) {
  if (!text) return std::nullopt;
  std::uint64_t value = 0;
  const char* end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, value);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

/// A datagram socket that is connected to `path`, a file's or, after '@', an abstract one's.
Result<UniqueFd> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const bool understood = path.size() > 1 && (path[0] == '/' || path[0] == '@');
  if (!understood || path.size() >= sizeof(address.sun_path)) return Errc::unsupported;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';
  UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto size = offsetof(sockaddr_un, sun_path) + path.size();
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address),
                           static_cast<socklen_t>(size)) != 0) {
    return last_system_error();
  }
  return socket;
}

}  // namespace

NotifierOptions NotifierOptions::from(const std::function<const char*(const char*)>& get,
                                      pid_t self) {
  NotifierOptions options;
  if (const char* socket = get("NOTIFY_SOCKET")) options.socket = socket;
  const auto usec = number(get("WATCHDOG_USEC"));
  const char* whose = get("WATCHDOG_PID");
  const bool ours = !whose || number(whose) == static_cast<std::uint64_t>(self);
  constexpr std::uint64_t kLongest = 1'000'000ULL * 86400 * 365;
  if (usec && *usec > 0 && *usec < kLongest && ours) {
    options.watchdog = std::chrono::microseconds(*usec);
  }
  return options;
}

Notifier::Notifier(const Clock& clock, NotifierOptions options) : clock_(clock) {
  if (options.socket.empty()) return;
  auto socket = connect_to(options.socket);
  if (!socket) {
    log::warning("agent", "the supervisor can't be told anything at NOTIFY_SOCKET={}: {}",
                 options.socket, socket.error().message());
    return;
  }
  socket_ = *std::move(socket);
  if (!options.watchdog) return;
  interval_ = *options.watchdog / 3;
  if (*options.watchdog < kBriefestWatchdog) {
    log::warning("agent", "the supervisor kills after {} ms of silence: 2 s or more are advised",
                 std::chrono::duration_cast<std::chrono::milliseconds>(*options.watchdog).count());
  }
}

void Notifier::ready(std::string_view status) {
  std::string message = "READY=1\nSTATUS=";
  for (const char c : status) message += c == '\n' ? ' ' : c;
  tell(message);
}

void Notifier::stopping() { tell("STOPPING=1"); }

void Notifier::alive() {
  if (!interval_) return;
  const auto now = clock_.now().time_since_epoch().count();
  auto last = told_.load();
  if (last != 0 && now - last < interval_->count()) return;
  if (told_.compare_exchange_strong(last, now)) tell("WATCHDOG=1");
}

void Notifier::tell(std::string_view message) {
  if (!socket_) return;
  if (::send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
    return;
  }
  const auto error = last_system_error();
  if (complained_.exchange(true)) return;
  log::warning("agent", "the supervisor couldn't be told {}: {}",
               message.substr(0, message.find('\n')), error.message());
}

}  // namespace hagring::systemd
