// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "userspace/base/asio.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"
#include "userspace/systemd/sd_bus.hpp"

namespace hagring::systemd {

struct MessageUnref {
  void operator()(sd_bus_message* message) const {
    sd_bus_library()->sd_bus_message_unref(message);
  }
};
using Message = std::unique_ptr<sd_bus_message, MessageUnref>;

/// A connection to a D-Bus daemon that never blocks. For one coroutine at a time, on its executor.
class Bus {
 public:
  /// To the daemon at the socket file `socket`. Errors: Errc::no_bus, also where libsystemd isn't
  /// installed.
  static Result<Bus> open(const std::string& socket);

  /// Calls `method` of an object of systemd's with arguments that are texts. The whole has `limit`.
  /// Errors: error_of() what comes back, hagring::Errc::timed_out.
  awaitable<Result<Message>> call(Clock& clock, std::string path, std::string interface,
                                  std::string method, std::vector<std::string> arguments,
                                  Duration limit);

 private:
  struct Close {
    void operator()(sd_bus* bus) const { sd_bus_library()->sd_bus_close_unref(bus); }
  };
  using Handle = std::unique_ptr<sd_bus, Close>;

  explicit Bus(Handle bus) : bus_(std::move(bus)) {}
  awaitable<Result<Message>> exchange(Clock& clock, Message request);

  Handle bus_;
};

}  // namespace hagring::systemd
