// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/mesh_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "dht/net/address_ranges.hpp"
#include "userspace/agent/setting_value.hpp"
#include "userspace/base/version.hpp"

namespace hagring::agent {
namespace {

constexpr std::uint16_t kDefaultPort = 5001;

/// Whether a name server could be asked for `host` (RFC 1123, section 2.1; `_` is met in clusters).
bool is_host_name(std::string_view host) {
  return !host.empty() && std::ranges::all_of(host, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_';
  });
}

[[noreturn]] void refuse(std::string_view text) {
  throw StartError(fmt::format(
      "--bootstrap: '{}' is neither ADDRESS[:PORT] nor NAME[:PORT], no multiaddr such as "
      "/ip4/192.0.2.7/tcp/5001, and no http:// URL",
      text));
}

dht::Multiaddr read_multiaddr(const std::string& text) {
  const auto address = dht::Multiaddr::parse(text);
  if (!address || !(address->tcp_endpoint() || address->tcp_name())) {
    throw StartError(
        fmt::format("--bootstrap: '{}' is no multiaddr that can be reached over TCP, such as "
                    "/ip4/192.0.2.7/tcp/5001 or /dns/nodes.example.com/tcp/5001/p2p/12D3KooW…",
                    text));
  }
  return *address;
}

http::Url read_url(const std::string& text) {
  const auto url = http::parse_url(text);
  if (!url || url->scheme != "http") {
    throw StartError(fmt::format("--bootstrap: '{}' is no http:// URL", text));
  }
  return *url;
}

/// An address or a name, with a port or without.
dht::Multiaddr read_place(const std::string& text) {
  boost::system::error_code error;
  const auto bare = asio::ip::make_address(text, error);
  if (!error) return dht::Multiaddr::of({bare, kDefaultPort});
  if (text.starts_with('[')) return dht::Multiaddr::of(read_endpoint(text));
  const auto colon = text.find(':');
  const auto host = text.substr(0, colon);
  const auto port =
      colon == std::string::npos ? kDefaultPort : read_count(text.substr(colon + 1), 1, 65535);
  const auto address = asio::ip::make_address(host, error);
  if (!error) return dht::Multiaddr::of({address, static_cast<std::uint16_t>(port)});
  const auto named = dht::Multiaddr::parse(fmt::format("/dns/{}/tcp/{}", host, port));
  if (!named || !is_host_name(host)) refuse(text);
  return *named;
}

}  // namespace

dht::BootstrapOptions bootstrap_options(const Config& config) {
  dht::BootstrapOptions options;
  for (const auto& text : config.bootstrap) {
    if (text.starts_with('/')) {
      options.peers.push_back(read_multiaddr(text));
    } else if (text.find("://") != std::string::npos) {
      options.urls.push_back(read_url(text));
    } else {
      try {
        options.peers.push_back(read_place(text));
      } catch (const StartError&) {
        refuse(text);
      }
    }
  }
  return options;
}

std::function<bool(const asio::ip::address&)> peer_ranges(const Config& config) {
  const auto ranges = config.peer_ranges.empty()
                          ? Result<dht::AddressRanges>(dht::AddressRanges::ordinary())
                          : dht::AddressRanges::parse(config.peer_ranges);
  if (!ranges) {
    throw StartError(
        fmt::format("--peer-range: '{}' has something that is no range such as "
                    "10.0.0.0/8 or fd00::/8",
                    fmt::join(config.peer_ranges, ", ")));
  }
  return
      [allowed = *ranges](const asio::ip::address& address) { return allowed.contains(address); };
}

void check_mesh(const Config& config) {
  bootstrap_options(config);
  peer_ranges(config);
  if (config.spegel_compat && !config.mesh_key_file.empty()) {
    throw StartError(
        "--mesh-key-file and --spegel-compat contradict each other: Spegel's nodes have no mesh "
        "key. Leave one of them out");
  }
}

std::filesystem::path identity_file(const Config& config) {
  return std::filesystem::path(config.state_dir) / "identity";
}

std::optional<dht::MeshKey> load_mesh_key(const Config& config) {
  if (config.spegel_compat) return std::nullopt;
  if (!config.mesh_key_file.empty()) return dht::load_mesh_key(config.mesh_key_file);
  return dht::load_or_create_mesh_key(std::filesystem::path(config.state_dir) / "mesh.key");
}

dht::NodeOptions node_options(const Config& config, std::optional<dht::MeshKey> mesh_key,
                              PortSharing sharing) {
  dht::NodeOptions options;
  options.host = {.listen = config.dht_listen,
                  .sharing = sharing,
                  .advertised = config.advertise,
                  .network_key = std::move(mesh_key),
                  .may_dial = peer_ranges(config),
                  .agent_version = fmt::format("hagring/{}", kVersion)};
  options.bootstrap = bootstrap_options(config);
  options.records_file = std::filesystem::path(config.state_dir) / "records";
  return options;
}

}  // namespace hagring::agent
