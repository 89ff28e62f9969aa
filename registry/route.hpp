// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "registry/digest.hpp"

namespace hagring::registry {

/// What a request to a registry asks for (OCI distribution-spec, "Endpoints").
struct Route {
  enum class Kind {
    manifest,     ///< reads a manifest, by `digest` or by `tag`
    blob,         ///< reads the blob `digest`
    version,      ///< `GET /v2/`
    passthrough,  ///< all else: uploads, deletes, tags, referrers, tokens, what isn't well formed
  };
  Kind kind = Kind::passthrough;
  bool head = false;  ///< HEAD rather than GET
  std::string repository{};
  std::optional<std::string> tag{};
  std::optional<Digest> digest{};
  /// The registry that is meant, from `?ns=`, as the runtime names it; empty when the host is it.
  std::string registry{};
};

/// Routes a request. Only what is exactly a read of the specification's grammar is one: anything
/// doubtful passes through, for the origin to judge.
Route route(std::string_view method, std::string_view target);

}  // namespace hagring::registry
