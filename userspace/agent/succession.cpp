// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/succession.hpp"

#include <fmt/core.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <nlohmann/json.hpp>

#include "userspace/agent/admin_client.hpp"
#include "userspace/base/deadline.hpp"

namespace hagring::agent {
namespace {

using Json = nlohmann::ordered_json;

/// For an answer that needs nothing but the control thread.
constexpr auto kPatience = std::chrono::seconds(5);

bool nobody_is_there(const error_code& error) {
  return error == boost::system::errc::no_such_file_or_directory ||
         error == boost::system::errc::connection_refused;
}

}  // namespace

std::string write_predecessor(const Predecessor& predecessor) {
  Json json{{"pid", predecessor.pid},
            {"version", predecessor.version},
            {"authority", predecessor.authority},
            {"client", predecessor.client},
            {"client_start", predecessor.client_start},
            {"trusted", predecessor.trusted},
            {"connected", predecessor.connected},
            {"keeps_layers", predecessor.keeps_layers},
            {"nodes", predecessor.nodes}};
  if (const auto& files = predecessor.files) {
    json["files"] = {{"directory", files->directory}, {"registries", files->registries}};
  }
  return json.dump();
}

namespace {

/// Agents before this one say nothing of files.
std::optional<TrustedFiles> parse_files(const Json& json) {
  if (!json.contains("files")) return std::nullopt;
  const auto& files = json.at("files");
  return TrustedFiles{.directory = files.at("directory").get<std::string>(),
                      .registries = files.at("registries").get<std::set<std::string>>()};
}

}  // namespace

Result<Predecessor> parse_predecessor(std::string_view text) {
  try {
    const auto json = Json::parse(text);
    return Predecessor{.pid = json.at("pid").get<pid_t>(),
                       .version = json.at("version").get<std::string>(),
                       .authority = json.at("authority").get<std::string>(),
                       .client = json.at("client").get<pid_t>(),
                       .client_start = json.at("client_start").get<std::uint64_t>(),
                       .trusted = json.at("trusted").get<bool>(),
                       .files = parse_files(json),
                       .connected = json.value("connected", false),
                       .keeps_layers = json.value("keeps_layers", false),
                       .nodes = json.value("nodes", std::size_t{0})};
  } catch (const Json::exception&) {
    return Errc::bad_message;
  }
}

std::optional<Predecessor> meet_predecessor(const std::string& socket) {
  asio::io_context context(1);
  SystemClock clock;
  auto asked = asio::co_spawn(
      context, with_deadline(clock, kPatience, ask_admin(socket, "POST", "/takeover/begin")),
      asio::use_future);
  context.run();
  const auto reply = asked.get();
  if (!reply && nobody_is_there(reply.error())) return std::nullopt;
  if (!reply) {
    throw StartError(
        fmt::format("--takeover: the agent at {} can't be asked ({}): stop it, then start this one",
                    socket, reply.error().message()));
  }
  const auto predecessor = parse_predecessor(reply->document);
  if (reply->status != 200 || !predecessor) {
    throw StartError(fmt::format(
        "--takeover: the agent at {} doesn't know how to be replaced (it answered {}): stop it, "
        "then start this one",
        socket, reply->status));
  }
  return *predecessor;
}

awaitable<void> dismiss_predecessor(Clock& clock, std::string socket) {
  (void)co_await with_deadline(clock, kPatience,
                               ask_admin(std::move(socket), "POST", "/takeover/finish"));
}

}  // namespace hagring::agent
