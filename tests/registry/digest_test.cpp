// SPDX-License-Identifier: Apache-2.0
#include "registry/digest.hpp"

#include <gtest/gtest.h>

#include "tests/support/memory_store.hpp"
#include "tests/support/run.hpp"

namespace hagring::registry {
namespace {

TEST(Digest, ParsesRegisteredAlgorithmsOnly) {
  const std::string hex256(64, 'a');
  const std::string hex512(128, '0');
  EXPECT_EQ(Digest::parse("sha256:" + hex256)->to_string(), "sha256:" + hex256);
  EXPECT_EQ(Digest::parse("sha512:" + hex512)->algorithm(), HashAlgorithm::sha512);
  for (const std::string& bad :
       {std::string(), std::string("sha256:"), "sha256:" + hex512, "sha512:" + hex256,
        "sha256:" + std::string(63, 'a'), "sha256:" + std::string(64, 'A'),
        "sha256:" + std::string(63, 'a') + "g", "sha384:" + hex256, "SHA256:" + hex256,
        "sha256:" + hex256 + " ", hex256}) {
    EXPECT_FALSE(Digest::parse(bad)) << bad;
  }
}

TEST(Digest, MatchesWhatWasHashed) {
  Hasher hasher(HashAlgorithm::sha256);
  hasher.update(as_bytes("hello"));
  const auto digest = Digest::of(HashAlgorithm::sha256, hasher);
  EXPECT_EQ(digest.hex(), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
  EXPECT_TRUE(digest.matches(hasher));
  hasher.update(as_bytes("!"));
  EXPECT_FALSE(digest.matches(hasher));
}

TEST(MemoryStore, OpensResolvesAndForgets) {
  asio::io_context context;
  test::MemoryStore store;
  const auto digest = store.add("content");
  store.tag("docker.io/library/a:1", digest, "application/vnd.oci.image.manifest.v1+json");
  const auto found = test::run(context, store.resolve("docker.io/library/a:1"));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->size, 7U);
  const auto blob = test::run(context, store.open(found->digest));
  ASSERT_TRUE(blob);
  char bytes[16];
  EXPECT_EQ(::pread(blob->file.get(), bytes, sizeof bytes, 0), 7);
  store.remove(digest);
  EXPECT_EQ(test::run(context, store.open(digest)).error(), Errc::not_found);
  EXPECT_EQ(store.opened(digest), 2U);
}

}  // namespace
}  // namespace hagring::registry
