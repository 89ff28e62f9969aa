// SPDX-License-Identifier: Apache-2.0
#include "tests/containerd/tiny_image.hpp"

#include <cstdio>
#include <cstring>
#include <fstream>

namespace hagring::test {
namespace {

std::string quoted(const std::string& key, const std::string& value) {
  return '"' + key + "\":\"" + value + '"';
}

std::string descriptor(const std::string& media_type, const std::string& content,
                       const std::string& more = {}) {
  return "{" + quoted("mediaType", media_type) + "," +
         quoted("digest", digest_of(content).to_string()) +
         ",\"size\":" + std::to_string(content.size()) + more + "}";
}

/// One file in a tar archive (POSIX.1-1988, ustar).
void add_file(std::ostream& archive, const std::string& path, const std::string& content) {
  char header[512] = {};
  std::snprintf(header, 100, "%s", path.c_str());
  std::snprintf(header + 100, 8, "%07o", 0644U);
  std::snprintf(header + 108, 8, "%07o", 0U);
  std::snprintf(header + 116, 8, "%07o", 0U);
  std::snprintf(header + 124, 12, "%011o", static_cast<unsigned>(content.size()));
  std::snprintf(header + 136, 12, "%011o", 0U);
  std::memset(header + 148, ' ', 8);
  header[156] = '0';
  std::memcpy(header + 257, "ustar\00000", 8);
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  std::snprintf(header + 148, 8, "%06o", sum);
  archive.write(header, sizeof header);
  archive << content << std::string((512 - content.size() % 512) % 512, '\0');
}

}  // namespace

registry::Digest digest_of(const std::string& content) {
  Hasher hasher(HashAlgorithm::sha256);
  hasher.update(as_bytes(content));
  return registry::Digest::of(HashAlgorithm::sha256, hasher);
}

TinyImage::TinyImage(const std::string& image_name, const std::string& layer_text)
    : name(image_name), layer(layer_text) {
  config =
      "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":["
      "\"" +
      layer_digest().to_string() + "\"]}}";
  manifest = "{\"schemaVersion\":2," +
             quoted("mediaType", "application/vnd.oci.image.manifest.v1+json") +
             ",\"config\":" + descriptor("application/vnd.oci.image.config.v1+json", config) +
             ",\"layers\":[" + descriptor("application/vnd.oci.image.layer.v1.tar", layer) + "]}";
}

registry::Digest TinyImage::layer_digest() const { return digest_of(layer); }
registry::Digest TinyImage::config_digest() const { return digest_of(config); }
registry::Digest TinyImage::manifest_digest() const { return digest_of(manifest); }

void TinyImage::write_archive(const std::filesystem::path& path) const {
  std::ofstream archive(path, std::ios::binary);
  add_file(archive, "oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  add_file(archive, "index.json",
           "{\"schemaVersion\":2,\"manifests\":[" +
               descriptor("application/vnd.oci.image.manifest.v1+json", manifest,
                          ",\"annotations\":{" + quoted("io.containerd.image.name", name) + "}") +
               "]}");
  for (const auto& blob : {layer, config, manifest}) {
    add_file(archive, "blobs/sha256/" + std::string(digest_of(blob).hex()), blob);
  }
  archive << std::string(1024, '\0');
}

}  // namespace hagring::test
