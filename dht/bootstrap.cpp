// SPDX-License-Identifier: Apache-2.0
#include "dht/bootstrap.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "userspace/base/deadline.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/http/connection.hpp"

namespace hagring::dht {
namespace {

constexpr std::string_view kPart = "bootstrap";
/// Spegel's answers have one peer; a list of a thousand peers takes about 150 KiB.
constexpr std::size_t kMaxDocument = 256 * 1024;

bool of_family(const asio::ip::address& address, AddrProtocol protocol) {
  return protocol == AddrProtocol::dns4   ? address.is_v4()
         : protocol == AddrProtocol::dns6 ? address.is_v6()
                                          : true;
}

awaitable<Result<std::string>> read_document(http::Connection& connection) {
  std::string document;
  Bytes buffer(16 * 1024);
  while (true) {
    CO_TRY(const auto size, co_await connection.read_body(buffer));
    if (size == 0) co_return document;
    document += as_text(ByteView(buffer).first(size));
    if (document.size() > kMaxDocument) co_return Errc::too_large;
  }
}

/// What can be dialled of one peer in the list.
void take_peer(const nlohmann::json& entry, std::size_t max, std::vector<BootstrapPeer>& into) {
  if (!entry.is_object()) return;
  const auto id = entry.find("ID");
  const auto addresses = entry.find("Addrs");
  if (id == entry.end() || !id->is_string() || addresses == entry.end()) return;
  const auto peer = PeerId::parse(id->get_ref<const std::string&>());
  if (!peer || !addresses->is_array()) return;
  for (const auto& text : *addresses) {
    if (into.size() >= max) return;
    if (!text.is_string()) continue;
    const auto address = Multiaddr::parse(text.get_ref<const std::string&>());
    const auto endpoint = address ? address->tcp_endpoint() : std::nullopt;
    if (endpoint) into.push_back({*endpoint, peer});
  }
}

}  // namespace

Result<std::vector<BootstrapPeer>> parse_bootstrap_peers(std::string_view json, std::size_t max) {
  const auto document = nlohmann::json::parse(json, nullptr, false);
  if (!document.is_array()) return Errc::bad_message;
  std::vector<BootstrapPeer> peers;
  for (const auto& entry : document) take_peer(entry, max, peers);
  return peers;
}

Bootstrap::Bootstrap(asio::any_io_executor executor, Clock& clock, Resolver& resolver,
                     Dialer& dialer, BootstrapOptions options)
    : executor_(std::move(executor)),
      clock_(clock),
      resolver_(resolver),
      dialer_(dialer),
      options_(std::move(options)),
      asking_(executor_, std::string(kPart)) {}

void Bootstrap::stop() {
  stopped_ = true;
  asking_.cancel();
}

awaitable<std::vector<BootstrapPeer>> Bootstrap::gather() {
  Peers peers;
  if (stopped_) co_return peers;
  for (const auto& address : options_.peers) {
    asking_.spawn(
        [this, &peers, address] { return ask(address.to_string(), of_address(address), peers); });
  }
  for (const auto& url : options_.urls) {
    // Without path and query, which may hold a secret.
    const auto source = url.scheme + "://" + url.authority();
    asking_.spawn([this, &peers, url, source] { return ask(source, of_url(url), peers); });
  }
  co_await asking_.drain();
  co_return peers;
}

awaitable<void> Bootstrap::ask(std::string source, awaitable<Result<Peers>> asked, Peers& into) {
  auto found = co_await with_deadline(clock_, options_.limit, std::move(asked));
  if (!found) {
    const auto reason = found.error().message();
    if (!is_cancelled(found.error()) && std::exchange(failures_[source], reason) != reason) {
      log::warning(kPart, "{} names no peers: {}. It is asked again", source, reason);
    }
    co_return;
  }
  if (failures_.erase(source) > 0) log::info(kPart, "{} names peers again", source);
  if (found->size() > options_.max_peers) found->resize(options_.max_peers);
  for (auto& peer : *found) {
    if (std::ranges::find(into, peer) == into.end()) into.push_back(std::move(peer));
  }
}

awaitable<Result<Bootstrap::Peers>> Bootstrap::of_address(Multiaddr address) {
  if (const auto endpoint = address.tcp_endpoint()) {
    co_return Peers{BootstrapPeer{*endpoint, address.peer()}};
  }
  const auto name = address.tcp_name();
  if (!name) co_return Errc::unsupported;
  CO_TRY(const auto addresses, co_await resolver_.resolve(name->first));
  Peers peers;
  for (const auto& found : addresses) {
    if (!of_family(found, address.parts().front().protocol)) continue;
    peers.push_back({{found, name->second}, address.peer()});
  }
  if (peers.empty()) co_return Errc::not_found;
  co_return peers;
}

awaitable<Result<Bootstrap::Peers>> Bootstrap::of_url(http::Url url) {
  CO_TRY(auto socket, co_await dialer_.dial({std::nullopt, url.host, url.port}));
  http::Connection connection(std::make_unique<SocketStream>(std::move(socket)));
  http::Request request;
  request.target = url.target;
  request.headers = {{"Host", url.authority()}, {"Accept", "application/json"}};
  request.keep_alive = false;
  CO_CHECK(co_await connection.write_request(request));
  CO_CHECK(co_await connection.finish_body());
  CO_TRY(const auto response, co_await connection.read_response(request.method));
  if (response.status != 200) co_return Errc::unavailable;
  CO_TRY(const auto document, co_await read_document(connection));
  CO_TRY(auto peers, parse_bootstrap_peers(document, options_.max_peers));
  // Threat: whoever answers there must not make us connect to addresses outside the mesh.
  if (options_.may_dial) {
    std::erase_if(peers, [this](const BootstrapPeer& peer) {
      return !options_.may_dial(peer.address.address());
    });
  }
  co_return peers;
}

}  // namespace hagring::dht
