// SPDX-License-Identifier: Apache-2.0
#include "userspace/preflight/running_agent.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <nlohmann/json.hpp>

#include "userspace/agent/admin_client.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/deadline.hpp"

namespace hagring::preflight {
namespace {

constexpr auto kPatience = std::chrono::seconds(3);

}  // namespace

std::optional<RunningAgent> ask_agent(const agent::Config& config) {
  asio::io_context context(1);
  SystemClock clock;
  auto asked = asio::co_spawn(
      context,
      with_deadline(clock, kPatience, agent::ask_admin(config.admin_socket, "GET", "/status")),
      asio::use_future);
  context.run();
  const auto reply = asked.get();
  if (!reply || reply->status != 200) return std::nullopt;
  const auto status = nlohmann::json::parse(reply->document, nullptr, false);
  if (!status.is_object()) return std::nullopt;
  RunningAgent found;
  const auto clients = status.value("clients", nlohmann::json::array());
  if (clients.empty()) return found;
  const auto& client = clients.front();
  found.has_client = true;
  found.trusted = client.value("trust", "") == "trusted";
  found.reason = client.value("reason", "");
  found.restart = client.value("restart", "");
  return found;
}

}  // namespace hagring::preflight
