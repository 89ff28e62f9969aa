// SPDX-License-Identifier: Apache-2.0
#include "userspace/cli/admin_client.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdio>
#include <utility>

#include "userspace/base/deadline.hpp"

namespace hagring::cli {
namespace {

constexpr std::size_t kMaxPath = 107;  // sun_path, unix(7)

}  // namespace

Result<AdminReply> ask_agent(const std::string& socket, std::string target, Duration limit,
                             std::string method) {
  if (socket.size() > kMaxPath) return Errc::unsupported;
  asio::io_context context(1);
  SystemClock clock;
  auto answer = asio::co_spawn(
      context,
      with_deadline(clock, limit, agent::ask_admin(socket, std::move(method), std::move(target))),
      asio::use_future);
  context.run();
  return answer.get();
}

std::optional<AdminReply> ask_agent_or_tell(const std::string& socket, std::string target,
                                            Duration limit, std::string method) {
  if (socket.size() > kMaxPath) {
    std::fprintf(stderr, "hagring: --admin-socket %s is longer than a socket's path may be\n",
                 socket.c_str());
    return std::nullopt;
  }
  auto reply = ask_agent(socket, std::move(target), limit, std::move(method));
  if (reply) return std::move(*reply);
  std::fprintf(stderr,
               "hagring: no agent answers at %s (%s). Is `hagring agent` running, with this "
               "--admin-socket, and are you root?\n",
               socket.c_str(), reply.error().message().c_str());
  return std::nullopt;
}

std::string query_text(const std::string& key) {
  std::string text;
  for (const char c : key) text += c == '+' ? std::string("%2B") : std::string(1, c);
  return text;
}

}  // namespace hagring::cli
