// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "registry/digest.hpp"

namespace hagring::registry {

/// Whether `text` is a repository's name, `library/nginx` (OCI distribution-spec, "Pulling
/// manifests": `<name>`), of at most 255 bytes.
bool is_repository(std::string_view text);

/// Whether `text` is a tag (the same place: `<reference>` as a tag, at most 128 characters).
bool is_tag(std::string_view text);

/// Whether `text` is a registry's `host[:port]` (distribution/reference, `domain`); IPv6 addresses
/// stand in brackets. At most 255 bytes.
bool is_registry(std::string_view text);

/// The name under which the runtime knows the registry at `host[:port]`: `registry-1.docker.io` and
/// `index.docker.io` are `docker.io`; others are themselves, in lower case, without `:443`.
std::string registry_of_host(std::string_view host);

/// The host that serves a registry's name: `registry-1.docker.io` for `docker.io`, else the same.
std::string host_of_registry(std::string_view registry);

/// An image's name in the runtime's form: `docker.io/library/nginx:1.25`,
/// `docker.io/library/nginx@sha256:…`, or both. The registry is always there.
struct Reference {
  std::string registry;
  std::string repository;
  std::optional<std::string> tag{};
  std::optional<Digest> digest{};

  /// nullopt for what is no such name, names without a registry (`sha256:…` records of CRI, too)
  /// included.
  static std::optional<Reference> parse(std::string_view text);

  /// The same for a name as people write it (distribution/reference, ParseDockerRef): `nginx` is
  /// `docker.io/library/nginx:latest`.
  static std::optional<Reference> parse_familiar(std::string_view text);

  /// `docker.io/library/nginx`.
  std::string name() const;
  std::string to_string() const;
  bool operator==(const Reference&) const = default;
};

}  // namespace hagring::registry
