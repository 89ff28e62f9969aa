// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "registry/content_store.hpp"
#include "userspace/base/bytes.hpp"
#include "userspace/base/result.hpp"

namespace hagring::registry {

/// The largest manifest that is read: containerd takes none larger (core/remotes/docker,
/// resolver.go, MaxManifestSize).
inline constexpr std::size_t kMaxManifestBytes = 4'393'216;

/// What a manifest says, as far as it matters for handing it on and for walking to its content.
struct Manifest {
  enum class Kind {
    image,  ///< children: the config, then the layers in order
    index,  ///< children: manifests
    old,    ///< schema 1 and others whose children aren't known
  };
  Kind kind = Kind::old;
  std::string media_type;
  std::vector<Descriptor> children{};
};

/// Reads a manifest's bytes. The media type is the `mediaType` field's or, where that is missing,
/// follows from the structure (OCI image-spec, manifest.md). Layers that are fetched from elsewhere
/// (`urls`, foreign layers) are among the children like all others.
/// Errors: Errc::bad_message for what is no manifest, or is an image and an index at once
/// (CVE-2021-41190); Errc::too_large beyond kMaxManifestBytes or 4096 children.
Result<Manifest> parse_manifest(ByteView bytes);

}  // namespace hagring::registry
