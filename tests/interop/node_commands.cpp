// SPDX-License-Identifier: Apache-2.0
#include "tests/interop/node_commands.hpp"

#include <stdexcept>

#include "userspace/base/deadline.hpp"

namespace hagring::dht {
namespace {

/// The address alone, in the form that the other peers name addresses in.
std::string ip_part(const asio::ip::address& address) {
  return (address.is_v4() ? "/ip4/" : "/ip6/") + address.to_string();
}

nlohmann::json described(const Provider& provider) {
  auto addresses = nlohmann::json::array();
  for (const auto& address : provider.addresses) addresses.push_back(ip_part(address));
  return {{"peer_id", provider.peer.to_string()}, {"addresses", addresses}};
}

}  // namespace

NodeCommands::NodeCommands(asio::any_io_executor executor, Clock& clock, Dialer& dialer, Node& node,
                           NodeOptions options)
    : executor_(std::move(executor)),
      clock_(clock),
      dialer_(dialer),
      node_(node),
      options_(std::move(options)) {}

awaitable<std::string> NodeCommands::answer(std::string line) {
  Json reply = {{"id", 0}};
  try {
    auto request = Json::parse(line);
    reply["id"] = request.at("id");
    reply["ok"] = co_await run(std::move(request));
  } catch (const std::exception& error) {
    reply["error"] = error.what();
  }
  co_return reply.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

awaitable<nlohmann::json> NodeCommands::run(Json request) {
  const auto what = request.at("do").get<std::string>();
  if (what == "about") co_return about();
  if (what == "table") co_return table();
  if (what == "connections") co_return connections();
  if (what == "find_providers") co_return co_await find_providers(std::move(request));
  if (what == "connect") {
    const auto address = Multiaddr::parse(request.at("address").get<std::string>());
    if (!address) throw std::runtime_error("no multiaddr: " + address.error().message());
    co_return co_await connect(*address);
  }
  if (what == "provide") {
    node_.provide(request.at("keys").get<std::vector<std::string>>());
    co_return Json::object();
  }
  throw std::runtime_error("no such command");
}

nlohmann::json NodeCommands::about() const {
  const auto status = node_.status();
  return {{"peer_id", status.peer_id},      {"addresses", status.addresses},
          {"records", status.records},      {"untold", status.untold_keys},
          {"refused", status.host.refused}, {"failed_handshakes", status.host.failed_handshakes}};
}

nlohmann::json NodeCommands::table() const {
  auto peers = Json::array();
  for (const auto& peer : node_.status().table) peers.push_back(peer.peer_id);
  return {{"peers", peers}};
}

nlohmann::json NodeCommands::connections() const {
  const auto status = node_.status();
  auto peers = Json::array();
  for (const auto& peer : status.table) {
    if (peer.connected) peers.push_back({{"peer_id", peer.peer_id}, {"connections", 1}});
  }
  // A node tells no counts by peer: what goes beyond one for each is named as somebody's.
  if (status.host.connections > peers.size()) {
    peers.push_back({{"peer_id", "more than one each, or not in the table"},
                     {"connections", status.host.connections - peers.size()}});
  }
  return {{"peers", peers}};
}

awaitable<nlohmann::json> NodeCommands::connect(Multiaddr address) {
  const auto endpoint = address.tcp_endpoint();
  if (!endpoint) throw std::runtime_error("no TCP address: " + address.to_string());
  const auto identity = Identity::generate();
  auto options = options_.host;
  options.listen.port(0);
  Host host(executor_, clock_, identity, dialer_, std::move(options));
  host.start();
  const auto peer = co_await host.connect(*endpoint, address.peer());
  co_await host.stop();
  if (!peer) throw std::runtime_error(peer.error().message());
  co_return Json{{"peer_id", peer->to_string()}};
}

awaitable<nlohmann::json> NodeCommands::find_providers(Json request) {
  const auto limit = request.at("limit").get<std::size_t>();
  const std::chrono::duration<double> within(request.at("within_s").get<double>());
  auto found = Json::array();
  const auto started = clock_.now();
  std::chrono::duration<double, std::milli> first(0);
  const auto take = [&](const Provider& provider) {
    if (found.empty()) first = clock_.now() - started;
    found.push_back(described(provider));
    return limit == 0 || found.size() < limit;
  };
  const auto result = co_await with_deadline(clock_, std::chrono::duration_cast<Duration>(within),
                                             search(request.at("key").get<std::string>(), take));
  if (!result && result.error() != Errc::timed_out) {
    throw std::runtime_error(result.error().message());
  }
  co_return Json{{"providers", found},
                 {"first_ms", first.count()},
                 {"rounds", result ? result->rounds_to_provider : 0}};
}

awaitable<Result<kad::LookupResult>> NodeCommands::search(std::string key,
                                                          Node::OnProvider on_provider) {
  co_return co_await node_.find_providers(std::move(key), std::move(on_provider));
}

}  // namespace hagring::dht
