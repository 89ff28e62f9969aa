// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_future.hpp>
#include <filesystem>

#include "dht/bootstrap.hpp"
#include "dht/mesh_key.hpp"
#include "userspace/agent/mesh_options.hpp"
#include "userspace/agent/setting_value.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/racing_dialer.hpp"
#include "userspace/base/tcp_listen.hpp"
#include "userspace/preflight/preflight.hpp"

namespace hagring::preflight {
namespace {

using asio::ip::tcp;

/// For names to be resolved, and nodes to be connected to.
constexpr auto kPatience = std::chrono::seconds(5);
/// Of the nodes that the bootstrap names, so many are tried.
constexpr std::size_t kMaxTried = 5;

bool agent_runs(const std::string& socket) {
  asio::io_context context;
  asio::local::stream_protocol::socket connection(context);
  error_code error;
  constexpr std::size_t kMaxPath = 107;  // sun_path less its NUL (unix(7))
  if (socket.size() > kMaxPath) return false;
  connection.connect(asio::local::stream_protocol::endpoint(socket), error);
  return !error;
}

Check check_port(std::string name, const tcp::endpoint& where) {
  asio::io_context context;
  tcp::acceptor acceptor(context);
  const auto shown = agent::write_endpoint(where);
  if (const auto error = listen(acceptor, where)) {
    return {std::move(name), Level::failure, fmt::format("{}: {}", shown, error.message()),
            "`ss -ltnp` shows who has it; choose another one on all nodes of the mesh"};
  }
  return {std::move(name), Level::ok, shown + " is free"};
}

Checks check_ports(const agent::Config& config) {
  if (agent_runs(config.admin_socket)) {
    return {{"ports", Level::ok, "an agent runs here: they are its own"}};
  }
  Checks all{check_port("peer port", config.peer_listen),
             check_port("DHT port", config.dht_listen)};
  if (config.metrics_listen) all.push_back(check_port("metrics port", *config.metrics_listen));
  return all;
}

Check check_mesh_key(const agent::Config& config) {
  if (config.spegel_compat) {
    return {"mesh key", Level::warning, "none: the mesh is open (--spegel-compat)",
            "let nobody but your nodes reach ports 5000 and 5001"};
  }
  const auto path =
      config.mesh_key_file.empty() ? config.state_dir + "/mesh.key" : config.mesh_key_file;
  std::error_code ignored;
  if (config.mesh_key_file.empty() && !std::filesystem::exists(path, ignored)) {
    return {"mesh key", Level::warning, path + " will be made",
            "all nodes of a mesh need the same key: copy it to the others, or name one to each by "
            "--mesh-key-file"};
  }
  try {
    dht::load_mesh_key(path);
  } catch (const StartError& error) {
    return {"mesh key", Level::failure, error.what()};
  }
  return {"mesh key", Level::ok, path};
}

awaitable<bool> answers(Clock& clock, SystemConnector& connector, tcp::endpoint where) {
  co_return (co_await with_deadline(clock, kPatience, connector.connect(where))).has_value();
}

struct Reached {
  std::size_t named = 0;
  std::size_t tried = 0;
  std::size_t reached = 0;
};

awaitable<Reached> reach(const agent::Config& config, SystemResolver& resolver) {
  SystemClock clock;
  SystemConnector connector;
  RacingDialer dialer(resolver, connector, {});
  dht::Bootstrap bootstrap(co_await asio::this_coro::executor, clock, resolver, dialer,
                           agent::bootstrap_options(config));
  const auto nodes = co_await bootstrap.gather();
  Reached result{.named = nodes.size()};
  for (const auto& node : nodes) {
    if (result.tried == kMaxTried) break;
    ++result.tried;
    if (co_await answers(clock, connector, node.address)) ++result.reached;
  }
  co_return result;
}

Check check_bootstrap(const agent::Config& config) {
  if (config.bootstrap.empty()) {
    return {"bootstrap", Level::warning, "no other node is named",
            "right for the first node only; others need --bootstrap"};
  }
  SystemResolver resolver;
  asio::io_context context;
  auto reached = asio::co_spawn(context, reach(config, resolver), asio::use_future);
  context.run();
  const auto found = reached.get();
  const auto names = fmt::format("{}", fmt::join(config.bootstrap, ", "));
  if (found.named == 0) {
    return {"bootstrap", Level::warning, names + ": names nobody",
            "does the name resolve on this node, is there another node yet? The agent asks again "
            "and again"};
  }
  const auto text = fmt::format("{}: {} nodes, {} of {} tried can be connected to", names,
                                found.named, found.reached, found.tried);
  if (found.reached > 0) return {"bootstrap", Level::ok, text};
  return {"bootstrap", Level::warning, text,
          "is TCP port 5001 open between nodes, does the agent run there?"};
}

}  // namespace

Checks check_network(const agent::Config& config) {
  auto all = check_ports(config);
  all.push_back(check_mesh_key(config));
  all.push_back(check_bootstrap(config));
  return all;
}

}  // namespace hagring::preflight
