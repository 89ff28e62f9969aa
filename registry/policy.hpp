// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/rule.hpp"

namespace hagring::registry {

/// Hosts whose requests are mirrored as those of one registry.
struct MirroredHost {
  std::string pattern;   ///< a host name in lower case; a label `*` stands for any one label
  std::uint16_t port;    ///< where it is connected to
  bool plain = false;    ///< HTTP without TLS
  std::string registry;  ///< the name that images have it under; empty: the host's own name
};

/// Which registries are mirrored, and how. Immutable once the agent runs, so any thread may ask.
class Policy {
 public:
  /// No registry at all.
  Policy() = default;

  /// The public registries of kDefaultHosts (policy.cpp). Hosts of tokens (auth.docker.io) and of
  /// blobs behind redirects (production.cloudflare.docker.com, *.blob.core.windows.net) are left
  /// alone: what they answer is asked for by the mirror itself or is none of its business.
  static Policy defaults();

  /// Adds what `--registry` names: `host`, `host:port`, and before either `http://` for a registry
  /// without TLS (port 80 by default; 443 otherwise). A label of the host may be `*`.
  /// Throws StartError for anything else.
  void add(std::string_view specification);

  /// The registry that a connection to `host` at `port` belongs to, or nullopt if it isn't
  /// mirrored. `host` is compared without regard to case.
  std::optional<std::string> registry_of(std::string_view host, std::uint16_t port,
                                         bool plain) const;

  /// Adds what `--rule` says, behind the rules that are there. Throws StartError.
  void add_rule(std::string_view text) { rules_.add(text); }

  /// What the rules say of `reference`, whether its registry is mirrored or not.
  Decision decide(const Reference& reference) const { return rules_.decide(reference); }

  /// Whether connections to the host of `registry`, as images name it, are mirrored.
  bool mirrors(std::string_view registry) const;

  /// Where the registry that images name so is asked; nullopt if it isn't mirrored.
  struct Server {
    std::string host;
    std::uint16_t port = 0;
    bool plain = false;
  };
  std::optional<Server> server_of(std::string_view registry) const;

  /// The mirrored registries, as images name them, at `host`, a registry's name without its port.
  std::vector<std::string> registries_at(std::string_view host) const;

  /// Whether other nodes should learn that this one has `key` (ContentRouter's): not names that a
  /// rule excludes.
  bool may_announce(std::string_view key) const;

  const Rules& rules() const { return rules_; }

  /// DNS suffixes that a certificate authority must be allowed to name (RFC 5280, 4.2.1.10): for
  /// each host that speaks TLS the labels after its last `*`; a `*` among the labels of ECR's names
  /// is spelled out by region, since `amazonaws.com` would let it speak for all of AWS.
  std::vector<std::string> name_constraints() const;

  const std::vector<MirroredHost>& hosts() const { return hosts_; }

 private:
  std::vector<MirroredHost> hosts_;
  Rules rules_;
};

}  // namespace hagring::registry
