// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/image_layers.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "registry/containerd/lease_text.hpp"
#include "tests/containerd/tiny_image.hpp"

namespace hagring::containerd {
namespace {

using test::digest_of;

std::string entry(const std::string& name, std::string_view type) {
  return fmt::format(R"({{"mediaType":"{}","digest":"{}","size":7}})", type,
                     digest_of(name).to_string());
}

std::string manifest(const std::string& layers) {
  return fmt::format(R"({{"schemaVersion":2,"config":{},"layers":[{}]}})",
                     entry("config", "application/vnd.oci.image.config.v1+json"), layers);
}

TEST(ImageLayers, AreWhatTheRuntimeTakesForLayers) {
  const auto text =
      manifest(entry("a", "application/vnd.oci.image.layer.v1.tar+gzip") + "," +
               entry("b", "application/vnd.docker.image.rootfs.diff.tar.gzip") + "," +
               entry("c", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip") + "," +
               entry("d", "application/vnd.oci.image.layer.nondistributable.v1.tar") + "," +
               entry("e", "application/vnd.in-toto+json") + "," +
               entry("a", "application/vnd.oci.image.layer.v1.tar+gzip"));
  const auto found = layers_of("docker.io/x", digest_of(text), text);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->layers.size(), 2U);
  EXPECT_EQ(found->layers[0].digest, digest_of("a"));
  EXPECT_EQ(found->layers[1].digest, digest_of("b"));
  EXPECT_EQ(found->layers[1].size, 7U);
}

TEST(ImageLayers, AnythingElseHasNone) {
  const auto index = fmt::format(R"({{"manifests":[{}]}})",
                                 entry("m", "application/vnd.oci.image.manifest.v1+json"));
  const auto artifact = manifest(entry("chart", "application/vnd.cncf.helm.chart.content.v1.tar"));
  for (const auto& text : {index, artifact, manifest(""), std::string("{"), std::string()}) {
    EXPECT_FALSE(layers_of("docker.io/x", digest_of("x"), text)) << text;
  }
}

TEST(LeaseText, IsReadBack) {
  const auto served = *parse_rfc3339("2026-03-04T05:06:07Z");
  const KeptImage image{.lease = lease_id("ab", digest_of("m"), served),
                        .manifest = digest_of("m"),
                        .image = "docker.io/library/x",
                        .served = served,
                        .layers = {{digest_of("l"), 9}}};
  const auto lease = make_lease(image, served + std::chrono::hours(1));
  EXPECT_EQ(lease.labels.at("containerd.io/gc.expire"), "2026-03-04T06:06:07Z");
  const auto read = read_lease(lease);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->manifest, image.manifest);
  EXPECT_EQ(read->image, image.image);
  EXPECT_EQ(read->served, served);
  EXPECT_TRUE(lease.id.starts_with(lease_prefix("ab")));
}

TEST(LeaseText, RefusesOtherTimes) {
  for (const auto* text : {"", "2026-03-04T05:06:07", "2026-03-04T05:06:07+01",
                           "2026-13-04T05:06:07Z", "2026-03-04T05:06:0xZ"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
  EXPECT_FALSE(read_lease({.id = "hagring-x", .labels = {{"hagring.io/manifest", "x"}}}));
}

}  // namespace
}  // namespace hagring::containerd
