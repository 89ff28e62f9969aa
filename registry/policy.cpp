// SPDX-License-Identifier: Apache-2.0
#include "registry/policy.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "userspace/base/result.hpp"

namespace hagring::registry {
namespace {

struct DefaultHost {
  std::string_view pattern;
  std::string_view registry;
};

/// containerd asks registry-1.docker.io for images of docker.io (core/remotes/docker/registry.go,
/// DefaultHost); every other registry is asked under its own name.
constexpr std::array kDefaultHosts = {
    DefaultHost{"registry-1.docker.io", "docker.io"},
    DefaultHost{"registry.k8s.io", ""},
    DefaultHost{"ghcr.io", ""},
    DefaultHost{"quay.io", ""},
    DefaultHost{"gcr.io", ""},
    DefaultHost{"*.gcr.io", ""},
    DefaultHost{"*.pkg.dev", ""},
    DefaultHost{"mcr.microsoft.com", ""},
    DefaultHost{"public.ecr.aws", ""},
    DefaultHost{"*.dkr.ecr.*.amazonaws.com", ""},
    DefaultHost{"*.dkr.ecr.*.amazonaws.com.cn", ""},
    DefaultHost{"*.azurecr.io", ""},
    DefaultHost{"nvcr.io", ""},
    DefaultHost{"registry.gitlab.com", ""},
    DefaultHost{"registry.access.redhat.com", ""},
    DefaultHost{"registry.redhat.io", ""},
    DefaultHost{"registry.suse.com", ""},
    DefaultHost{"registry.rancher.com", ""},
    DefaultHost{"registry.digitalocean.com", ""},
    DefaultHost{"container-registry.oracle.com", ""},
    DefaultHost{"*.ocir.io", ""},
    DefaultHost{"icr.io", ""},
    DefaultHost{"*.icr.io", ""},
    DefaultHost{"cgr.dev", ""},
    DefaultHost{"docker.elastic.co", ""},
    DefaultHost{"lscr.io", ""},
    DefaultHost{"xpkg.upbound.io", ""},
};

/// Regions that have an ECR (AWS General Reference, "Amazon ECR endpoints and quotas").
constexpr std::array<std::string_view, 34> kAwsRegions = {
    "af-south-1",     "ap-east-1",      "ap-east-2",      "ap-northeast-1", "ap-northeast-2",
    "ap-northeast-3", "ap-south-1",     "ap-south-2",     "ap-southeast-1", "ap-southeast-2",
    "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7",
    "ca-central-1",   "ca-west-1",      "eu-central-1",   "eu-central-2",   "eu-north-1",
    "eu-south-1",     "eu-south-2",     "eu-west-1",      "eu-west-2",      "eu-west-3",
    "il-central-1",   "me-central-1",   "me-south-1",     "mx-central-1",   "sa-east-1",
    "us-east-1",      "us-east-2",      "us-west-1",      "us-west-2",
};
constexpr std::array<std::string_view, 2> kAwsGovernmentRegions = {"us-gov-east-1",
                                                                   "us-gov-west-1"};
constexpr std::array<std::string_view, 2> kAwsChinaRegions = {"cn-north-1", "cn-northwest-1"};

constexpr std::uint16_t kTlsPort = 443;
constexpr std::uint16_t kPlainPort = 80;

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

/// Takes the first label of `name` off.
std::string_view take_label(std::string_view& name) {
  const auto dot = name.find('.');
  const auto label = name.substr(0, dot);
  name = dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
  return label;
}

bool is_label(std::string_view label) {
  if (label == "*") return true;
  if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') {
    return false;
  }
  return std::ranges::all_of(label, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

bool matches(std::string_view pattern, std::string_view host) {
  while (!pattern.empty() && !host.empty()) {
    const auto want = take_label(pattern);
    const auto have = take_label(host);
    // The name comes from the network and goes on into requests and records.
    const bool fits = want == "*" ? have != "*" && is_label(have) : want == have;
    if (!fits) return false;
  }
  return pattern.empty() && host.empty();
}

/// Whether `host` is a DNS name or an IPv4 address, with `*` for labels allowed before the last
/// two.
bool is_pattern(std::string_view host) {
  if (host.empty() || host.size() > 253 || host.ends_with('.')) return false;
  const auto star = host.rfind('*');
  const bool too_wide =
      star != std::string_view::npos && std::ranges::count(host.substr(star), '.') < 2;
  if (too_wide) return false;
  while (!host.empty()) {
    if (!is_label(take_label(host))) return false;
  }
  return true;
}

bool is_ip_address(std::string_view host) {
  return std::ranges::all_of(host, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

/// The suffixes of an ECR pattern, `*.dkr.ecr.*.amazonaws.com[.cn]`, by region.
void add_ecr_suffixes(std::string_view tail, std::set<std::string>& into) {
  const auto add = [&](const auto& regions) {
    for (const auto region : regions) into.insert(fmt::format("dkr.ecr.{}.{}", region, tail));
  };
  if (tail == "amazonaws.com.cn") return add(kAwsChinaRegions);
  add(kAwsRegions);
  add(kAwsGovernmentRegions);
}

}  // namespace

Policy Policy::defaults() {
  Policy policy;
  for (const auto& host : kDefaultHosts) {
    policy.hosts_.push_back(
        {std::string(host.pattern), kTlsPort, false, std::string(host.registry)});
  }
  return policy;
}

void Policy::add(std::string_view specification) {
  const auto refuse = [&] {
    throw StartError(fmt::format(
        "--registry: '{}': expected host[:port], with http:// before it for a registry without "
        "TLS; a label of the host may be *, but for the last two",
        specification));
  };
  std::string text = lower(specification);
  std::string_view rest = text;
  MirroredHost host{.pattern = {}, .port = kTlsPort, .plain = false, .registry = {}};
  if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
    host.plain = true;
    host.port = kPlainPort;
  } else if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
  }
  if (const auto colon = rest.find(':'); colon != std::string_view::npos) {
    const auto digits = rest.substr(colon + 1);
    const auto [stop, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), host.port);
    if (error != std::errc() || stop != digits.data() + digits.size() || host.port == 0) refuse();
    rest = rest.substr(0, colon);
  }
  if (!is_pattern(rest)) refuse();
  host.pattern = std::string(rest);
  hosts_.push_back(std::move(host));
}

std::optional<std::string> Policy::registry_of(std::string_view host, std::uint16_t port,
                                               bool plain) const {
  const auto name = lower(host.ends_with('.') ? host.substr(0, host.size() - 1) : host);
  for (const auto& mirrored : hosts_) {
    if (mirrored.port != port || mirrored.plain != plain || !matches(mirrored.pattern, name)) {
      continue;
    }
    if (!mirrored.registry.empty()) return mirrored.registry;
    // In image names a port is left out where it is the scheme's own.
    if (port == kTlsPort || (plain && port == kPlainPort)) return name;
    return fmt::format("{}:{}", name, port);
  }
  return std::nullopt;
}

bool Policy::mirrors(std::string_view registry) const { return server_of(registry).has_value(); }

std::optional<Policy::Server> Policy::server_of(std::string_view registry) const {
  Server server{.host = host_of_registry(registry)};
  const auto colon = server.host.rfind(':');
  const bool has_port =
      colon != std::string::npos && server.host.find(']', colon) == std::string::npos;
  if (has_port) {
    const auto* end = server.host.data() + server.host.size();
    std::from_chars(server.host.data() + colon + 1, end, server.port);
    server.host.resize(colon);
  }
  for (const bool plain : {false, true}) {
    const auto port = has_port ? server.port : plain ? kPlainPort : kTlsPort;
    if (!registry_of(server.host, port, plain)) continue;
    return Server{.host = std::move(server.host), .port = port, .plain = plain};
  }
  return std::nullopt;
}

std::vector<std::string> Policy::registries_at(std::string_view host) const {
  const auto name = lower(host);
  std::set<std::string> registries;
  for (const auto& mirrored : hosts_) {
    if (!mirrored.registry.empty() && mirrored.registry == name) registries.insert(name);
    if (!matches(mirrored.pattern, name)) continue;
    const auto registry = registry_of(name, mirrored.port, mirrored.plain);
    if (registry) registries.insert(*registry);
  }
  return {registries.begin(), registries.end()};
}

bool Policy::may_announce(std::string_view key) const {
  const auto reference = Reference::parse(key);
  return !reference || decide(*reference).mirror;
}

std::vector<std::string> Policy::name_constraints() const {
  std::set<std::string> suffixes;
  for (const auto& host : hosts_) {
    if (host.plain || is_ip_address(host.pattern)) continue;
    const std::string_view pattern = host.pattern;
    constexpr std::string_view kEcr = "*.dkr.ecr.*.";
    if (pattern.starts_with(kEcr)) {
      add_ecr_suffixes(pattern.substr(kEcr.size()), suffixes);
      continue;
    }
    const auto star = pattern.rfind('*');
    suffixes.insert(
        std::string(star == std::string_view::npos ? pattern : pattern.substr(star + 2)));
  }
  // A suffix covers what lies below it.
  std::erase_if(suffixes, [&](const std::string& suffix) {
    return std::ranges::any_of(suffixes, [&](const std::string& other) {
      return suffix.size() > other.size() && suffix.ends_with("." + other);
    });
  });
  return {suffixes.begin(), suffixes.end()};
}

}  // namespace hagring::registry
