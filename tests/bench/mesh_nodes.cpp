// SPDX-License-Identifier: Apache-2.0
// Many nodes of the mesh in one process, without agents: each has an address, an identity, a table
// and connections of its own, as if it were another machine's. They run until they are killed.
#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <memory>
#include <vector>

#include "dht/mesh_key.hpp"
#include "dht/node.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/racing_dialer.hpp"

namespace hagring::dht {
namespace {

struct Arguments {
  std::string first_address;
  std::uint32_t count = 1;
  std::uint16_t port = 5001;
  std::string mesh_key_file;
  std::string bootstrap;
};

/// Connects from one of the machine's addresses.
class ConnectorFrom final : public Connector {
 public:
  explicit ConnectorFrom(asio::ip::address address) : address_(std::move(address)) {}

  awaitable<Result<asio::ip::tcp::socket>> connect(asio::ip::tcp::endpoint to) override {
    asio::ip::tcp::socket socket(co_await asio::this_coro::executor);
    error_code failed;
    socket.open(to.protocol(), failed);
    if (!failed) socket.bind({address_, 0}, failed);
    if (failed) co_return failed;
    set_connection_options(socket);
    auto [error] = co_await socket.async_connect(to, kTuple);
    if (is_cancelled(error)) co_return Errc::cancelled;
    if (error) co_return error;
    co_return std::move(socket);
  }

 private:
  asio::ip::address address_;
};

NodeOptions options_of(const Arguments& arguments, const asio::ip::address& address) {
  NodeOptions options;
  options.host.listen = {address, arguments.port};
  options.host.may_dial = [](const asio::ip::address& to) { return !to.is_loopback(); };
  options.host.network_key = load_mesh_key(arguments.mesh_key_file);
  const auto bootstrap = Multiaddr::parse(arguments.bootstrap);
  if (!bootstrap) throw StartError("--bootstrap " + arguments.bootstrap + " is no multiaddr");
  options.bootstrap.peers.push_back(*bootstrap);
  return options;
}

/// One of them, with what it refers to.
class OneNode {
 public:
  OneNode(asio::io_context& context, Clock& clock, Resolver& resolver, const Arguments& arguments,
          const asio::ip::address& address)
      : connector_(address),
        dialer_(resolver, connector_, {}),
        identity_(Identity::generate()),
        node_(context.get_executor(), clock, identity_, dialer_, resolver,
              options_of(arguments, address)) {
    node_.start();
  }

 private:
  ConnectorFrom connector_;
  RacingDialer dialer_;
  Identity identity_;
  Node node_;
};

void run(const Arguments& arguments) {
  asio::io_context context(1);
  SystemClock clock;
  SystemResolver resolver;
  std::vector<std::unique_ptr<OneNode>> nodes;
  const auto first = asio::ip::make_address_v4(arguments.first_address).to_uint();
  for (std::uint32_t i = 0; i < arguments.count; ++i) {
    nodes.push_back(std::make_unique<OneNode>(context, clock, resolver, arguments,
                                              asio::ip::address_v4(first + i)));
  }
  context.run();
}

int start(int argc, char** argv) {
  CLI::App app("Many nodes of the mesh, for the benchmarks");
  Arguments arguments;
  app.add_option("--first-address", arguments.first_address, "of the first; the others' follow it")
      ->required();
  app.add_option("--count", arguments.count, "how many");
  app.add_option("--port", arguments.port, "that each listens on");
  app.add_option("--mesh-key-file", arguments.mesh_key_file, "the mesh's key")->required();
  app.add_option("--bootstrap", arguments.bootstrap, "multiaddr of a first peer")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  log::configure(log::Level::warning, log::Format::text);
  try {
    run(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mesh_nodes: %s\n", error.what());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace hagring::dht

int main(int argc, char** argv) { return hagring::dht::start(argc, argv); }
