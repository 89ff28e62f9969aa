// SPDX-License-Identifier: Apache-2.0
#include "registry/manifest.hpp"

#include <gtest/gtest.h>

namespace hagring::registry {
namespace {

std::string digest(char c) { return "sha256:" + std::string(64, c); }

std::string entry(char c, int size, std::string_view media_type) {
  return R"({"mediaType":")" + std::string(media_type) + R"(","digest":")" + digest(c) +
         R"(","size":)" + std::to_string(size) + R"(,"annotations":{"x":["y"]}})";
}

Result<Manifest> parse(std::string_view text) { return parse_manifest(as_bytes(text)); }

TEST(Manifest, OfAnImage) {
  const auto manifest =
      parse(R"({"schemaVersion":2,"config":)" + entry('a', 10, "application/config") +
            R"(,"layers":[)" + entry('b', 20, "t/l") + "," + entry('c', 30, "t/l") + "]}");
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->kind, Manifest::Kind::image);
  EXPECT_EQ(manifest->media_type, "application/vnd.oci.image.manifest.v1+json");
  ASSERT_EQ(manifest->children.size(), 3U);
  EXPECT_EQ(manifest->children[0].media_type, "application/config");
  EXPECT_EQ(manifest->children[2].digest.to_string(), digest('c'));
  EXPECT_EQ(manifest->children[2].size, 30U);
}

TEST(Manifest, OfAnIndex) {
  const auto manifest = parse(
      R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json",)"
      R"("manifests":[)" +
      entry('a', 10, "t/m") + "]}");
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->kind, Manifest::Kind::index);
  EXPECT_EQ(manifest->media_type, "application/vnd.docker.distribution.manifest.list.v2+json");
  EXPECT_EQ(manifest->children.size(), 1U);
  EXPECT_EQ(parse(R"({"manifests":[]})")->media_type, "application/vnd.oci.image.index.v1+json");
}

TEST(Manifest, OfSchemaOne) {
  const auto manifest = parse(R"({"schemaVersion":1,"fsLayers":[],"signatures":[{}]})");
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->kind, Manifest::Kind::old);
  EXPECT_EQ(manifest->media_type, "application/vnd.docker.distribution.manifest.v1+prettyjws");
}

TEST(Manifest, OtherDocumentsAreRefused) {
  for (const std::string& text : {
           std::string(),
           std::string("{}"),
           std::string("[]"),
           std::string("1"),
           std::string("{\"manifests\""),
           std::string(R"({"manifests":{}})"),
           std::string(R"({"manifests":[1]})"),
           std::string(R"({"manifests":[{}]})"),
           std::string(R"({"manifests":[{"digest":"sha256:1","size":1}]})"),
           R"({"manifests":[{"digest":")" + digest('a') + R"(","size":-1}]})",
           R"({"manifests":[{"digest":")" + digest('a') + R"(","size":1.5}]})",
           R"({"manifests":[{"digest":")" + digest('a') + R"("}]})",
           std::string(R"({"layers":[]})"),
           std::string(R"({"config":null})"),
           std::string(R"({"manifests":[],"layers":[]})"),
           std::string(R"({"manifests":[],"mediaType":"a/b\r\nX: y"})"),
           std::string(R"({"manifests":[],"mediaType":"none"})"),
           std::string(R"({"manifests":[],"mediaType":1})"),
           "{\"manifests\":" + std::string(1000, '['),
           "{\"x\":" + std::string(1'000'000, '[') + std::string(1'000'000, ']') + "}",
       }) {
    EXPECT_EQ(parse(text).error(), Errc::bad_message) << text.substr(0, 60);
  }
}

TEST(Manifest, SizeIsBounded) {
  EXPECT_EQ(parse(std::string(kMaxManifestBytes + 1, ' ')).error(), Errc::too_large);
  std::string many = R"({"manifests":[)";
  for (int i = 0; i < 5000; ++i) many += R"({"digest":")" + digest('a') + R"(","size":1},)";
  many.back() = ']';
  EXPECT_EQ(parse(many + "}").error(), Errc::too_large);
  std::string numbers = R"({"layers":[0)";
  for (int i = 0; i < 1'000'000; ++i) numbers += ",0";
  EXPECT_EQ(parse(numbers + "]}").error(), Errc::too_large);
}

}  // namespace
}  // namespace hagring::registry
