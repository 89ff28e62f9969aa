// SPDX-License-Identifier: Apache-2.0
#include "userspace/dns/resolv_conf.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace hagring::dns {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using ::testing::ElementsAre;

std::vector<std::string> servers(std::string_view text) {
  std::vector<std::string> all;
  for (const auto& server : parse_resolv_conf(text).name_servers) all.push_back(server.to_string());
  return all;
}

TEST(ResolvConf, ListsServersInOrder) {
  EXPECT_THAT(servers("# of systemd\nnameserver 127.0.0.53\noptions edns0 trust-ad\n"
                      "search example.com\nnameserver\t2001:db8::53  \n"),
              ElementsAre("127.0.0.53", "2001:db8::53"));
}

TEST(ResolvConf, OnlyTheFirstThreeCount) {
  EXPECT_THAT(servers("nameserver 192.0.2.1\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n"
                      "nameserver ::ffff:192.0.2.3\nnameserver 192.0.2.4"),
              ElementsAre("192.0.2.1", "192.0.2.2", "192.0.2.3"));
}

TEST(ResolvConf, WithoutServersTheOwnMachineIsAsked) {
  const auto loopback = ElementsAre("127.0.0.1", "::1");
  EXPECT_THAT(servers(""), loopback);
  EXPECT_THAT(servers("; nameserver 192.0.2.1\n#nameserver 192.0.2.1\n"), loopback);
  EXPECT_THAT(servers("nameserver\nnameserver dns.example.com\n nameserver 192.0.2.1\n"), loopback);
}

TEST(ResolvConf, SaysHowLongAnAttemptTakes) {
  EXPECT_EQ(parse_resolv_conf("").timeout, seconds(5));
  EXPECT_EQ(parse_resolv_conf("options ndots:5 timeout:2 attempts:1\n").timeout, seconds(2));
  EXPECT_EQ(parse_resolv_conf("options timeout:0").timeout, seconds(1));
  EXPECT_EQ(parse_resolv_conf("options timeout:99999").timeout, seconds(30));
  EXPECT_EQ(parse_resolv_conf("options timeout:x").timeout, seconds(5));
  EXPECT_EQ(parse_resolv_conf("options timeout:99999999999999999999").timeout, seconds(5));
}

TEST(ResolvConf, SaysWhatNamesStandFor) {
  const auto conf = parse_resolv_conf("search a.example b.example.\noptions ndots:5\n");
  EXPECT_THAT(conf.search, ElementsAre("a.example", "b.example"));
  EXPECT_EQ(conf.ndots, 5);
  EXPECT_EQ(parse_resolv_conf("").ndots, 1);
  EXPECT_EQ(parse_resolv_conf("options ndots:99").ndots, 15);
  EXPECT_THAT(parse_resolv_conf("search a\ndomain b c\n").search, ElementsAre("b"));
  EXPECT_THAT(parse_resolv_conf("domain b\nsearch .\n").search, ::testing::IsEmpty());
  std::string many = "search";
  for (int i = 0; i < 100; ++i) many += " x.example";
  EXPECT_EQ(parse_resolv_conf(many).search.size(), 16U);
}

class ResolvConfFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "resolv-conf-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    fs::create_directories(root_ / "etc");
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const fs::path& inside, const std::string& text) {
    fs::create_directories((root_ / inside).parent_path());
    std::ofstream(root_ / inside) << text;
  }

  fs::path root_;
};

TEST_F(ResolvConfFileTest, IsReadBelowItsRoot) {
  write("etc/resolv.conf", "nameserver 192.0.2.1\n");
  EXPECT_EQ(*read_resolv_conf(root_), "nameserver 192.0.2.1\n");
}

TEST_F(ResolvConfFileTest, LinksLeadToWhereTheClientSeesThem) {
  write("run/resolve/stub.conf", "nameserver 127.0.0.53\n");
  for (const auto* target : {"../run/resolve/stub.conf", "/run/resolve/stub.conf",
                             "../../../../../run/resolve/stub.conf"}) {
    fs::remove(root_ / "etc/resolv.conf");
    fs::create_symlink(target, root_ / "etc/resolv.conf");
    EXPECT_EQ(*read_resolv_conf(root_), "nameserver 127.0.0.53\n") << target;
  }
}

TEST_F(ResolvConfFileTest, WithoutAFileItIsEmpty) { EXPECT_EQ(*read_resolv_conf(root_), ""); }

TEST_F(ResolvConfFileTest, TooLargeOrNoFileIsAnError) {
  write("etc/resolv.conf", std::string(100'000, '#'));
  EXPECT_EQ(read_resolv_conf(root_).error(), Errc::too_large);
  fs::remove(root_ / "etc/resolv.conf");
  fs::create_directory(root_ / "etc/resolv.conf");
  EXPECT_FALSE(read_resolv_conf(root_));
  EXPECT_FALSE(read_resolv_conf(root_ / "nowhere"));
}

}  // namespace
}  // namespace hagring::dns
