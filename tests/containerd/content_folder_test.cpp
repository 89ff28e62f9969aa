// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/content_folder.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/containerd/daemon.hpp"
#include "tests/containerd/tiny_image.hpp"

namespace hagring::containerd {
namespace {

struct ContentFolderTest : testing::Test {
  test::TemporaryFolder folder;
  std::string root = "/var/lib/containerd/content";
  registry::Digest digest = test::digest_of("content");

  std::filesystem::path blobs() const { return folder.path().string() + root + "/blobs/sha256"; }

  void SetUp() override {
    std::filesystem::create_directories(blobs());
    std::ofstream(blobs() / digest.hex()) << "content";
  }

  Result<ContentFolder> find() const { return ContentFolder::find(root, folder.path(), 0); }
};

TEST_F(ContentFolderTest, OpensABlobBelowTheHostsRoot) {
  const auto content = find();
  ASSERT_TRUE(content) << content.error().message();
  const auto blob = content->open(digest, 7);
  ASSERT_TRUE(blob) << blob.error().message();
  char bytes[8] = {};
  EXPECT_EQ(::read(blob->file.get(), bytes, sizeof bytes), 7);
  EXPECT_STREQ(bytes, "content");
}

TEST_F(ContentFolderTest, ReadingABlobLeavesItsTimeOfAccess) {
  const auto file = blobs() / digest.hex();
  // Older than the last change: with relatime, too, a read would note its time.
  const timespec times[] = {{1, 0}, {2, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), times, 0), 0);
  const auto blob = find()->open(digest, 7);
  ASSERT_TRUE(blob);
  char bytes[8] = {};
  ASSERT_EQ(::read(blob->file.get(), bytes, sizeof bytes), 7);
  struct stat status{};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_atim.tv_sec, 1);
}

TEST_F(ContentFolderTest, MissingBlobIsNotFound) {
  EXPECT_EQ(find()->open(test::digest_of("other"), 5).error(), Errc::not_found);
}

TEST_F(ContentFolderTest, AnotherSizeIsRefused) {
  EXPECT_EQ(find()->open(digest, 8).error(), Errc::bad_message);
}

TEST_F(ContentFolderTest, LinksAndFoldersAreRefused) {
  const auto linked = test::digest_of("linked");
  std::filesystem::create_symlink(blobs() / digest.hex(), blobs() / linked.hex());
  EXPECT_FALSE(find()->open(linked, 7));
  const auto nested = test::digest_of("nested");
  std::filesystem::create_directory(blobs() / nested.hex());
  EXPECT_FALSE(find()->open(nested, 4096));
}

TEST_F(ContentFolderTest, FolderMayAppearLaterButItsParentIsNeeded) {
  std::filesystem::remove_all(blobs().parent_path().parent_path());
  const auto content = find();
  ASSERT_TRUE(content);
  EXPECT_EQ(content->open(digest, 7).error(), Errc::not_found);
  SetUp();
  EXPECT_TRUE(content->open(digest, 7));
  EXPECT_FALSE(ContentFolder::find("/elsewhere/content", folder.path(), 0));
}

TEST_F(ContentFolderTest, ContainerdsOwnViewIsPreferred) {
  // Our own root serves as another process's: the same folder by both ways.
  const auto path = folder.path().string() + root;
  const auto same = ContentFolder::find(path, "", ::getpid());
  ASSERT_TRUE(same);
  EXPECT_EQ(same->path(), path);
  const auto its = ContentFolder::find(path, "/no-such-root", ::getpid());
  ASSERT_TRUE(its);
  EXPECT_EQ(its->path(), "/proc/" + std::to_string(::getpid()) + "/root" + path);
  EXPECT_TRUE(its->open(digest, 7));
}

}  // namespace
}  // namespace hagring::containerd
