// SPDX-License-Identifier: Apache-2.0
// Our node of the mesh alone, without the agent: what it does is told by lines of JSON on standard
// input, and answered on standard output (README.md).
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "dht/node.hpp"
#include "tests/interop/node_commands.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/racing_dialer.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::dht {
namespace {

constexpr std::size_t kMaxLine = 1 << 20;

struct Arguments {
  std::string listen_address = "::";
  std::uint16_t port = 5001;
  std::string psk_file;
  std::string identity_file;
  std::vector<std::string> bootstrap;
};

NetworkKey read_network_key(const std::string& path) {
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const auto key = parse_network_key(text);
  if (!file || !key) throw StartError(path + " is no swarm.key file");
  return *key;
}

/// The identity that an earlier run kept, or a new one.
Identity identity_of(const Arguments& arguments) {
  return arguments.identity_file.empty() ? Identity::generate()
                                         : Identity::load_or_create(arguments.identity_file);
}

NodeOptions options_of(const Arguments& arguments) {
  NodeOptions options;
  options.host.listen = {asio::ip::make_address(arguments.listen_address), arguments.port};
  options.host.may_dial = [](const asio::ip::address& address) {
    return !address.is_loopback() && !address.is_unspecified() && !address.is_multicast();
  };
  if (!arguments.psk_file.empty()) {
    options.host.network_key = read_network_key(arguments.psk_file);
  }
  for (const auto& text : arguments.bootstrap) {
    auto address = Multiaddr::parse(text);
    if (!address) throw StartError("--bootstrap " + text + " is no multiaddr");
    options.bootstrap.peers.push_back(*std::move(address));
  }
  return options;
}

/// The node, and the conversation about it.
class Program {
 public:
  Program(Identity identity, const NodeOptions& options)
      : identity_(std::move(identity)),
        dialer_(resolver_, connector_, {}),
        node_(context_.get_executor(), clock_, identity_, dialer_, resolver_, options),
        commands_(context_.get_executor(), clock_, dialer_, node_, options),
        input_(context_, ::dup(STDIN_FILENO)),
        tasks_(context_.get_executor(), "interop") {}

  void run() {
    node_.start();
    tasks_.spawn([this] { return converse(); });
    context_.run();
  }

 private:
  /// Until the input ends.
  awaitable<void> converse() {
    TaskGroup answers(context_.get_executor(), "interop answers");
    std::string buffer;
    for (;;) {
      const auto [error, size] = co_await asio::async_read_until(
          input_, asio::dynamic_buffer(buffer, kMaxLine), '\n', kTuple);
      if (error) break;
      const auto line = buffer.substr(0, size);
      buffer.erase(0, size);
      answers.spawn([this, line] { return answer(line); });
    }
    answers.cancel();
    co_await answers.drain();
    co_await node_.stop();
  }

  awaitable<void> answer(std::string line) {
    const auto reply = co_await commands_.answer(std::move(line));
    std::fputs(reply.c_str(), stdout);
    std::fflush(stdout);
  }

  asio::io_context context_{1};
  SystemClock clock_;
  SystemResolver resolver_;
  SystemConnector connector_;
  Identity identity_;
  RacingDialer dialer_;
  Node node_;
  NodeCommands commands_;
  asio::posix::stream_descriptor input_;
  TaskGroup tasks_;
};

int run(int argc, char** argv) {
  CLI::App app("Our node of the mesh, for the interop tests");
  Arguments arguments;
  app.add_option("--listen-address", arguments.listen_address, "address to listen on");
  app.add_option("--port", arguments.port, "port to listen on");
  app.add_option("--psk-file", arguments.psk_file, "swarm.key file of the private network");
  app.add_option("--identity-file", arguments.identity_file,
                 "file of the identity; without one it is new each time");
  app.add_option("--bootstrap", arguments.bootstrap, "multiaddr of a first peer; repeatable");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  log::configure(log::Level::debug, log::Format::text);
  try {
    Program(identity_of(arguments), options_of(arguments)).run();
  } catch (const StartError& error) {
    std::fprintf(stderr, "hagring_peer: can't start: %s\n", error.what());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace hagring::dht

int main(int argc, char** argv) { return hagring::dht::run(argc, argv); }
