// SPDX-License-Identifier: Apache-2.0
#include "dht/identity.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <fstream>

namespace hagring::dht {
namespace {

/// The Ed25519 keys that peer-ids.md of the libp2p specification gives ("Test vectors").
constexpr const char* kPrivate =
    "080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d1ed1e8fae2c4a144b8be8f"
    "d"
    "4b47bf3d3b34b871c3cacf6010f0e42d474fce27e";
constexpr const char* kPublic =
    "080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e";

struct IdentityFile : testing::Test {
  IdentityFile() {
    std::string name = testing::TempDir() + "identity-XXXXXX";
    folder = ::mkdtemp(name.data());
    path = folder / "identity.key";
  }
  ~IdentityFile() override { std::filesystem::remove_all(folder); }

  void put(std::string_view text, mode_t mode) {
    std::ofstream(path, std::ios::binary) << text;
    ::chmod(path.c_str(), mode);
  }

  std::filesystem::path folder, path;
};

TEST(Identity, ReadsTheSpecificationsKey) {
  const auto identity = Identity::from_message(*from_hex(kPrivate));
  ASSERT_TRUE(identity);
  EXPECT_EQ(to_hex(identity->public_key().message()), kPublic);
  EXPECT_EQ(identity->peer_id(), PeerId::of_public_key(*from_hex(kPublic)));
}

// RFC 8032, section 7.1, test 2.
TEST(Identity, SignsAsTheRfcDoes) {
  const auto seed = *from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
  const auto identity = Identity::from_seed(std::span(seed).first<32>());
  const auto signature = identity.sign(Bytes{0x72});
  EXPECT_EQ(
      to_hex(signature),
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613"
      "d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
  EXPECT_TRUE(identity.public_key().verify(Bytes{0x72}, signature));
  EXPECT_FALSE(identity.public_key().verify(Bytes{0x73}, signature));
}

TEST(Identity, RefusesAKeyWhosePublicHalfIsAnothers) {
  auto message = *from_hex(kPrivate);
  message.back() ^= 1;
  EXPECT_EQ(Identity::from_message(message).error(), Errc::bad_message);
  EXPECT_EQ(Identity::from_message(*from_hex("08031200")).error(), Errc::unsupported);
  EXPECT_EQ(Identity::from_message({}).error(), Errc::bad_message);
}

TEST_F(IdentityFile, IsMadeOnceForItsOwnerOnly) {
  const auto first = Identity::load_or_create(path);
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  EXPECT_EQ(info.st_size, 68);
  EXPECT_EQ(Identity::load_or_create(path).peer_id(), first.peer_id());
  EXPECT_NE(Identity::generate().peer_id(), first.peer_id());
}

TEST_F(IdentityFile, IsNeverReplacedWhenItIsWrong) {
  for (const auto* text : {"", "not a key"}) {
    put(text, 0600);
    EXPECT_THROW(Identity::load_or_create(path), StartError);
    EXPECT_EQ(std::filesystem::file_size(path), std::string_view(text).size());
  }
}

TEST_F(IdentityFile, IsRefusedWhenOthersMayReadIt) {
  put(as_text(*from_hex(kPrivate)), 0640);
  try {
    Identity::load_or_create(path);
    FAIL() << "taken";
  } catch (const StartError& error) {
    EXPECT_NE(std::string(error.what()).find("chmod 600"), std::string::npos) << error.what();
  }
}

TEST_F(IdentityFile, SaysWhereItCouldNotBeWritten) {
  EXPECT_THROW(Identity::load_or_create(folder / "missing" / "identity.key"), StartError);
}

}  // namespace
}  // namespace hagring::dht
