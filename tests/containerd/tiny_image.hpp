// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "registry/digest.hpp"

namespace hagring::test {

/// An image of one layer that `ctr images import` takes: valid in all but its layer, which is some
/// text. Different texts make different images.
struct TinyImage {
  explicit TinyImage(const std::string& name, const std::string& layer_text);

  /// Writes an OCI image layout (OCI image-spec, image-layout.md) as a tar file.
  void write_archive(const std::filesystem::path& path) const;

  std::string name;
  std::string layer;
  std::string config;
  std::string manifest;

  registry::Digest layer_digest() const;
  registry::Digest config_digest() const;
  registry::Digest manifest_digest() const;
};

/// The SHA-256 digest of `content`.
registry::Digest digest_of(const std::string& content);

}  // namespace hagring::test
