// SPDX-License-Identifier: Apache-2.0
#include "userspace/systemd/bus.hpp"

#include <poll.h>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "userspace/base/deadline.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/systemd/error.hpp"

namespace hagring::systemd {
namespace {

constexpr const char* kSystemd = "org.freedesktop.systemd1";
/// sd-bus has times of its own to keep (authentication); it is asked again at least so often.
constexpr auto kLongestWait = std::chrono::milliseconds(200);

/// What has become of a call.
struct Reply {
  bool there = false;
  Message message{};
  std::string error{};
  std::string text{};
};

struct FreeSlot {
  void operator()(sd_bus_slot* slot) const { sd_bus_library()->sd_bus_slot_unref(slot); }
};

int take_reply(sd_bus_message* message, void* into, sd_bus_error*) {
  auto& reply = *static_cast<Reply*>(into);
  reply.there = true;
  if (const auto* error = sd_bus_library()->sd_bus_message_get_error(message)) {
    reply.error = error->name ? error->name : "";
    reply.text = error->message ? error->message : "";
  } else {
    reply.message.reset(sd_bus_library()->sd_bus_message_ref(message));
  }
  return 0;
}

error_code connection_error(int result) {
  if (result == -ETIMEDOUT) return hagring::Errc::timed_out;
  if (result == -EACCES || result == -EPERM) return Errc::denied;
  return Errc::no_bus;
}

/// The connection's socket for Asio, which doesn't close it.
class Lent {
 public:
  Lent(const asio::any_io_executor& executor, int fd) : descriptor_(executor, fd) {}
  ~Lent() { descriptor_.release(); }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;

  awaitable<Result<void>> wait(int events) {
    using Descriptor = asio::posix::stream_descriptor;
    const auto what = (events & POLLOUT) != 0 ? Descriptor::wait_write : Descriptor::wait_read;
    auto [error] = co_await descriptor_.async_wait(what, kTuple);
    if (error) co_return error;
    co_return Result<void>();
  }

 private:
  asio::posix::stream_descriptor descriptor_;
};

Result<Message> outcome(Reply reply, sd_bus_message* request) {
  if (reply.message) return std::move(reply.message);
  log::debug("systemd", "{}: {}: {}", sd_bus_library()->sd_bus_message_get_member(request),
             reply.error, reply.text);
  return error_of(reply.error);
}

}  // namespace

Result<Bus> Bus::open(const std::string& socket) {
  sd_bus* made = nullptr;
  if (sd_bus_library() == nullptr) return Errc::no_bus;
  if (sd_bus_library()->sd_bus_new(&made) < 0) return Errc::no_bus;
  Handle bus(made);
  // An address is a list: what means something in it is escaped (D-Bus specification, "Server
  // Addresses").
  std::string address = "unix:path=";
  for (const char c : socket) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) || std::strchr("-_/.\\*", c);
    address += plain ? std::string(1, c) : fmt::format("%{:02x}", static_cast<unsigned char>(c));
  }
  if (sd_bus_library()->sd_bus_set_address(made, address.c_str()) < 0 ||
      sd_bus_library()->sd_bus_set_bus_client(made, 1) < 0 ||
      sd_bus_library()->sd_bus_start(made) < 0) {
    return Errc::no_bus;
  }
  return Bus(std::move(bus));
}

awaitable<Result<Message>> Bus::call(Clock& clock, std::string path, std::string interface,
                                     std::string method, std::vector<std::string> arguments,
                                     Duration limit) {
  sd_bus_message* made = nullptr;
  const int result = sd_bus_library()->sd_bus_message_new_method_call(
      bus_.get(), &made, kSystemd, path.c_str(), interface.c_str(), method.c_str());
  if (result < 0) co_return connection_error(result);
  Message request(made);
  for (const auto& argument : arguments) {
    if (sd_bus_library()->sd_bus_message_append(made, "s", argument.c_str()) < 0)
      co_return Errc::failed;
  }
  co_return co_await with_deadline(clock, limit, exchange(clock, std::move(request)));
}

awaitable<Result<Message>> Bus::exchange(Clock& clock, Message request) {
  Reply reply;
  sd_bus_slot* made = nullptr;
  const int sent =
      sd_bus_library()->sd_bus_call_async(bus_.get(), &made, request.get(), take_reply, &reply,
                                          std::numeric_limits<std::uint64_t>::max());
  if (sent < 0) co_return connection_error(sent);
  // Goes before `reply`, to which its callback writes.
  const std::unique_ptr<sd_bus_slot, FreeSlot> slot(made);
  Lent socket(co_await asio::this_coro::executor, sd_bus_library()->sd_bus_get_fd(bus_.get()));
  while (!reply.there) {
    if (co_await asked_to_stop()) co_return hagring::Errc::cancelled;
    const int done = sd_bus_library()->sd_bus_process(bus_.get(), nullptr);
    if (done < 0) co_return connection_error(done);
    if (done > 0) continue;
    const int events = sd_bus_library()->sd_bus_get_events(bus_.get());
    if (events < 0) co_return connection_error(events);
    (void)co_await with_deadline(clock, kLongestWait, socket.wait(events));
  }
  co_return outcome(std::move(reply), request.get());
}

}  // namespace hagring::systemd
