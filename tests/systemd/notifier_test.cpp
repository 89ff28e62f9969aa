// SPDX-License-Identifier: Apache-2.0
#include "userspace/systemd/notifier.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <map>

#include "tests/support/manual_clock.hpp"

namespace hagring::systemd {
namespace {

using namespace std::chrono_literals;

constexpr pid_t kSelf = 42;

/// What a supervisor has: a datagram socket at `name`, abstract if that begins with '@'.
class Receiver {
 public:
  explicit Receiver(std::string name) : name_(std::move(name)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name_.data(), name_.size());
    if (name_[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  }
  ~Receiver() {
    if (name_[0] != '@') ::unlink(name_.c_str());
  }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  const std::string& name() const { return name_; }
  /// The next message; "" if there is none.
  std::string next() {
    std::array<char, 512> buffer{};
    const auto size = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    return size < 0 ? "" : std::string(buffer.data(), static_cast<std::size_t>(size));
  }

 private:
  std::string name_;
  UniqueFd socket_{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

std::string file_name() {
  return (std::filesystem::temp_directory_path() / fmt::format("hagring-notify-{}", ::getpid()))
      .string();
}

NotifierOptions from(std::map<std::string, std::string> environment) {
  const auto get = [&](const char* name) -> const char* {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  };
  return NotifierOptions::from(get, kSelf);
}

TEST(Notifier, SpeaksToFilesAndAbstractSockets) {
  const test::ManualClock clock;
  for (const auto& name : {file_name(), fmt::format("@hagring-notify-{}", ::getpid())}) {
    Receiver receiver(name);
    Notifier notifier(clock, {.socket = name});
    notifier.ready("intercepting\ncontainerd");
    EXPECT_EQ(receiver.next(), "READY=1\nSTATUS=intercepting containerd");
    notifier.stopping();
    EXPECT_EQ(receiver.next(), "STOPPING=1");
    notifier.alive();
    EXPECT_EQ(receiver.next(), "") << "nobody watches";
  }
}

TEST(Notifier, SaysThatItIsAliveThreeTimesWithinTheTime) {
  test::ManualClock clock;
  Receiver receiver(file_name());
  Notifier notifier(clock, {.socket = receiver.name(), .watchdog = 3s});
  int heard = 0;
  for (int i = 0; i < 60; ++i) {
    notifier.alive();
    if (receiver.next() == "WATCHDOG=1") ++heard;
    clock.advance(100ms);
  }
  EXPECT_EQ(heard, 6);
}

TEST(Notifier, NeverWaitsForASupervisorThatDoesNotRead) {
  test::ManualClock clock;
  Receiver receiver(file_name());
  Notifier notifier(clock, {.socket = receiver.name(), .watchdog = 3s});
  for (int i = 0; i < 10'000; ++i) {
    notifier.alive();
    clock.advance(1s);
  }
  EXPECT_EQ(receiver.next(), "WATCHDOG=1");
}

TEST(Notifier, WithoutASupervisorIsSilent) {
  const test::ManualClock clock;
  for (const std::string name : {"", "/no/such/socket", "relative", "vsock:2:1234", "@"}) {
    Notifier notifier(clock, {.socket = name, .watchdog = 3s});
    notifier.ready("");
    notifier.alive();
    EXPECT_FALSE(notifier.is_watched()) << name;
  }
}

TEST(Notifier, ReadsTheEnvironment) {
  EXPECT_EQ(from({}).socket, "");
  EXPECT_EQ(from({{"NOTIFY_SOCKET", "/run/notify"}}).socket, "/run/notify");
  EXPECT_EQ(from({{"WATCHDOG_USEC", "3000000"}}).watchdog, 3s);
  EXPECT_EQ(from({{"WATCHDOG_USEC", "3000000"}, {"WATCHDOG_PID", "42"}}).watchdog, 3s);
  // Another process's, whose child we are.
  EXPECT_EQ(from({{"WATCHDOG_USEC", "3000000"}, {"WATCHDOG_PID", "41"}}).watchdog, std::nullopt);
  for (const std::string wrong : {"", "0", "-1", "3s", "99999999999999999999"}) {
    EXPECT_EQ(from({{"WATCHDOG_USEC", wrong}}).watchdog, std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace hagring::systemd
