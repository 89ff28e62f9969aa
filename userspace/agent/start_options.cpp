// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/start_options.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

#include "userspace/agent/setting_value.hpp"
#include "userspace/base/bytes.hpp"
#include "userspace/base/hasher.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/tls_roots.hpp"
#include "userspace/dns/host_lookup.hpp"

namespace hagring::agent {
namespace {

/// Tells agents of one machine apart: each has a state directory of its own.
std::string tag_of(const Config& config) {
  constexpr std::size_t kTagBytes = 4;
  const auto hash = sha256(as_bytes(config.state_dir));
  return to_hex(ByteView(hash).first(kTagBytes));
}

}  // namespace

std::string mounted_root(const Config& config) {
  return config.host_root == "/" ? std::string() : config.host_root;
}

registry::Policy make_policy(const Config& config) {
  auto policy = config.default_registries ? registry::Policy::defaults() : registry::Policy();
  for (const auto& registry : config.registries) policy.add(registry);
  for (const auto& rule : config.rules) policy.add_rule(rule);
  if (policy.hosts().empty()) {
    throw StartError("no registry is mirrored: give --registry, or leave --default-registries on");
  }
  return policy;
}

redirect::RedirectorOptions redirector_options(const Config& config,
                                               const registry::Policy& policy) {
  // A rule for each port that a mirrored registry listens on, at any address: which registry it is,
  // the name in the TLS handshake tells.
  const auto anywhere = redirect::default_rules();
  auto rules = anywhere;
  for (const auto& host : policy.hosts()) {
    for (auto rule : anywhere) {
      rule.port = host.port;
      if (std::find(rules.begin(), rules.end(), rule) == rules.end()) rules.push_back(rule);
    }
  }
  for (const auto& range : excluded_ranges(config)) {
    rules.push_back({.destinations = range, .action = redirect::Rule::Action::leave});
  }
  redirect::RedirectorOptions options{.pin_directory = config.pin_dir,
                                      .heartbeat_timeout = config.heartbeat_timeout,
                                      .rules = std::move(rules)};
  // The listener lets in twice as many (proxy::Listener); as many again, since each processor keeps
  // some free entries for itself.
  options.max_flows =
      std::max(options.max_flows, 4 * static_cast<std::uint32_t>(config.max_connections));
  return options;
}

SystemResolver::Lookup registry_lookup(const Config& config) {
  if (mounted_root(config).empty()) return SystemResolver::system_lookup;
  return dns::host_lookup(config.host_root);
}

std::vector<Prefix> excluded_ranges(const Config& config) {
  std::vector<Prefix> ranges;
  for (const auto& text : config.exclude) {
    const auto prefix = parse_prefix(text);
    if (!prefix) {
      throw StartError(
          fmt::format("--exclude: '{}' is not a range such as 10.0.0.0/8 or fd00::/8", text));
    }
    ranges.push_back(*prefix);
  }
  return ranges;
}

proxy::CertificateAuthorityOptions authority_options(const Config& config,
                                                     const registry::Policy& policy) {
  char name[256] = {};
  ::gethostname(name, sizeof(name) - 1);
  if (config.ca_cert.empty() != config.ca_key.empty()) {
    throw StartError(
        "--ca-cert and --ca-key belong together: give both, or neither for a CA that "
        "the node makes for itself");
  }
  return {.directory = config.state_dir,
          .permitted_names = policy.name_constraints(),
          .node_name = name,
          .given_certificate = config.ca_cert,
          .given_key = config.ca_key};
}

RuntimeRestart::Options restart_options(const Config& config) {
  return {.once = config.restart_runtime == "once",
          .unit = config.restart_unit,
          .longest_delay = config.restart_delay,
          .state_dir = config.state_dir};
}

NameKeeper::Options name_options(const Config& config) {
  return {.enabled = config.names,
          .stub = {.patience = config.name_timeout},
          .host_root = config.host_root};
}

NameKeeper::Hooks name_hooks(redirect::Redirector& redirector) {
  return {.set_name_server =
              [&redirector](const auto& server, int udp_fd, int tcp_fd) {
                return redirector.set_name_server(server, udp_fd, tcp_fd);
              },
          .remove_name_server =
              [&redirector](const auto& server) { redirector.remove_name_server(server); }};
}

containerd::FollowerOptions store_options(const Config& config) {
  return {.socket = config.containerd_socket,
          .host_root = mounted_root(config),
          .name_space = config.containerd_namespace,
          .rescan_interval = config.rescan_interval};
}

containerd::LayerKeeperOptions layer_options(const Config& config) {
  using containerd::KeepLayers;
  return {.mode = config.keep_layers == "always"  ? KeepLayers::always
                  : config.keep_layers == "never" ? KeepLayers::never
                                                  : KeepLayers::automatic,
          .budget = config.keep_layers_bytes,
          .age = config.keep_layers_age,
          .disk_limit = static_cast<unsigned>(config.keep_layers_until),
          .owner = tag_of(config)};
}

proxy::TrustStoreOptions trust_store_options(const Config& config) {
  proxy::TrustStoreOptions options{.host = config.host_root};
  if (config.state_dir != Config().state_dir) options.name += "-" + tag_of(config);
  return options;
}

CertificateStore load_origin_roots(const Config& config) {
  auto roots = load_roots({.file = config.origin_roots,
                           .host = config.host_root,
                           .ignore_prefix = proxy::kTrustFilePrefix});
  log::info("agent", "{} root certificates for origins, from {}", roots.certificates, roots.source);
  return std::move(roots.store);
}

}  // namespace hagring::agent
