// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/lease_text.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

namespace hagring::containerd {
namespace {

constexpr auto kManifest = "hagring.io/manifest";
constexpr auto kImage = "hagring.io/image";
constexpr auto kServed = "hagring.io/served";
constexpr auto kBytes = "hagring.io/bytes";
/// core/metadata/gc.go, labelGCExpire.
constexpr auto kExpire = "containerd.io/gc.expire";
/// Of key and value together containerd takes 4096 (pkg/labels/validate.go).
constexpr std::size_t kMaxImageName = 4000;

std::string label(const Lease& lease, const char* name) {
  const auto found = lease.labels.find(name);
  return found == lease.labels.end() ? std::string() : found->second;
}

}  // namespace

std::string lease_prefix(std::string_view owner) {
  return fmt::format("{}{}-", kLeasePrefix, owner);
}

std::string rfc3339(WallTime time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  constexpr std::size_t kLength = 20;  // 2026-01-02T03:04:05Z
  if (text.size() != kLength) return std::nullopt;
  const std::string terminated(text);
  std::tm parts{};
  const char* end = ::strptime(terminated.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

std::string lease_id(std::string_view owner, const registry::Digest& manifest, WallTime served) {
  const auto moment =
      std::chrono::duration_cast<std::chrono::milliseconds>(served.time_since_epoch());
  return fmt::format("{}{}-{}-{}", lease_prefix(owner), manifest.algorithm_name(), manifest.hex(),
                     moment.count());
}

Lease make_lease(const KeptImage& image, WallTime expires) {
  std::uint64_t bytes = 0;
  for (const auto& layer : image.layers) bytes += layer.size;
  return {.id = image.lease,
          .labels = {{kManifest, image.manifest.to_string()},
                     {kImage, image.image.substr(0, kMaxImageName)},
                     {kServed, rfc3339(image.served)},
                     {kBytes, std::to_string(bytes)},
                     {kExpire, rfc3339(expires)}}};
}

std::optional<KeptImage> read_lease(const Lease& lease) {
  auto manifest = registry::Digest::parse(label(lease, kManifest));
  const auto served = parse_rfc3339(label(lease, kServed));
  if (!manifest || !served) return std::nullopt;
  return KeptImage{.lease = lease.id,
                   .manifest = *std::move(manifest),
                   .image = label(lease, kImage),
                   .served = *served,
                   .layers = {},
                   .made = true};
}

std::optional<WallTime> expiry_of(const Lease& lease) {
  return parse_rfc3339(label(lease, kExpire));
}

}  // namespace hagring::containerd
