// SPDX-License-Identifier: Apache-2.0
#include "userspace/dns/host_lookup.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "tests/dns/fake_name_server.hpp"
#include "tests/dns/messages.hpp"
#include "userspace/dns/message.hpp"

namespace hagring::dns::test {
namespace {

namespace fs = std::filesystem;
using asio::ip::make_address;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(HostsFile, HasTheAddressesOfANameInOrder) {
  constexpr auto kText =
      "127.0.0.1 localhost\n"
      "192.0.2.1\tregistry.example.com registry # the old one: other\n"
      "# 192.0.2.9 registry\n"
      "nonsense registry\n"
      "2001:db8::1 REGISTRY\n"
      "192.0.2.1 registry\n";
  EXPECT_THAT(find_in_hosts(kText, "registry"),
              ElementsAre(make_address("192.0.2.1"), make_address("2001:db8::1")));
  EXPECT_THAT(find_in_hosts(kText, "Registry.Example.com."),
              ElementsAre(make_address("192.0.2.1")));
  EXPECT_THAT(find_in_hosts(kText, "other"), IsEmpty());
  EXPECT_THAT(find_in_hosts(kText, "192.0.2.1"), IsEmpty());
}

class HostLookupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "host-lookup-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    fs::create_directories(root_ / "etc");
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(root_ / "etc" / name) << text;
  }

  Result<Resolver::Addresses> look_up(const std::string& name) {
    return host_lookup(root_, port_)(name);
  }

  /// Knows `known` alone, at 192.0.2.7; all else is NXDOMAIN.
  FakeNameServer::Answer knows(const std::string& known) {
    return [this, known](const Bytes& message, bool) -> std::optional<Bytes> {
      const auto query = parse_query(message);
      if (!query) return std::nullopt;
      const std::lock_guard lock(mutex_);
      asked_.push_back(query->name);
      if (query->name != known) return response(message, 3);
      return make_answer(message, *query, asio::ip::make_address_v4("192.0.2.7"));
    };
  }

  static FakeNameServer::Answer says(std::uint8_t code) {
    return [code](const Bytes& message, bool) { return response(message, code); };
  }

  static FakeNameServer::Answer is_silent() {
    return [](const Bytes&, bool) -> std::optional<Bytes> { return std::nullopt; };
  }

  /// Each name once, in the order of its first query.
  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& name : asked_) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
    return names;
  }

  const std::uint16_t port_ = free_port();
  fs::path root_;
  std::mutex mutex_;
  std::vector<std::string> asked_;
};

TEST_F(HostLookupTest, TheHostsFileComesFirst) {
  const FakeNameServer server("127.0.0.2", port_, knows("registry.example.com"));
  write("resolv.conf", "nameserver 127.0.0.2\n");
  write("hosts", "192.0.2.1 registry.example.com\n");
  EXPECT_THAT(*look_up("registry.example.com"), ElementsAre(make_address("192.0.2.1")));
  EXPECT_EQ(server.queries(), 0);
}

TEST_F(HostLookupTest, TheHostsNameServersAreAskedNotOurOwn) {
  const FakeNameServer server("127.0.0.2", port_, knows("registry.example.com"));
  write("resolv.conf", "nameserver 127.0.0.2\n");
  EXPECT_THAT(*look_up("registry.example.com"), ElementsAre(make_address("192.0.2.7")));
  EXPECT_EQ(look_up("other.example.com").error(), Errc::not_found);
}

TEST_F(HostLookupTest, AChangedFileCountsAtOnce) {
  const FakeNameServer server("127.0.0.2", port_, knows("registry.example.com"));
  write("resolv.conf", "nameserver 127.0.0.3\noptions timeout:1\n");
  EXPECT_EQ(look_up("registry.example.com").error(), Errc::unavailable) << "nobody is there";
  write("resolv.conf", "nameserver 127.0.0.2\n");
  EXPECT_TRUE(look_up("registry.example.com"));
}

TEST_F(HostLookupTest, ServersThatFailAreNotTheLast) {
  const FakeNameServer failing("127.0.0.2", port_, says(2));
  const FakeNameServer refusing("127.0.0.3", port_, says(5));
  const FakeNameServer knowing("127.0.0.4", port_, knows("ghcr.io"));
  write("resolv.conf", "nameserver 127.0.0.2\nnameserver 127.0.0.3\nnameserver 127.0.0.4\n");
  EXPECT_THAT(*look_up("ghcr.io"), ElementsAre(make_address("192.0.2.7")));
}

TEST_F(HostLookupTest, SilentServersCostASecond) {
  const FakeNameServer silent("127.0.0.2", port_, is_silent());
  const FakeNameServer knowing("127.0.0.4", port_, knows("ghcr.io"));
  write("resolv.conf", "nameserver 127.0.0.2\nnameserver 127.0.0.4\n");
  EXPECT_THAT(*look_up("ghcr.io"), ElementsAre(make_address("192.0.2.7")));
}

TEST_F(HostLookupTest, SilenceAndTroubleAreNotAbsence) {
  const FakeNameServer silent("127.0.0.2", port_, is_silent());
  write("resolv.conf", "nameserver 127.0.0.2\noptions timeout:1\n");
  EXPECT_EQ(look_up("ghcr.io").error(), Errc::timed_out);
  const FakeNameServer failing("127.0.0.3", port_, says(2));
  write("resolv.conf", "nameserver 127.0.0.3\n");
  EXPECT_EQ(look_up("ghcr.io").error(), Errc::unavailable);
}

TEST_F(HostLookupTest, WhatIsTruncatedIsAskedByTcp) {
  const auto whole = knows("ghcr.io");
  const FakeNameServer server("127.0.0.2", port_, [&](const Bytes& message, bool tcp) {
    if (tcp) return whole(message, tcp);
    auto reply = response(message, 0);
    reply[2] |= 0x02;
    return std::optional(reply);
  });
  write("resolv.conf", "nameserver 127.0.0.2\n");
  EXPECT_THAT(*look_up("ghcr.io"), ElementsAre(make_address("192.0.2.7")));
}

TEST_F(HostLookupTest, SearchListsAreGoneThrough) {
  const FakeNameServer server("127.0.0.2", port_, knows("registry.two.example"));
  write("resolv.conf", "nameserver 127.0.0.2\nsearch one.example two.example.\n");
  EXPECT_THAT(*look_up("registry"), ElementsAre(make_address("192.0.2.7")));
  EXPECT_THAT(asked(), ElementsAre("registry.one.example", "registry.two.example"));
}

TEST_F(HostLookupTest, ANameWithEnoughDotsIsTriedAsItIsFirst) {
  const FakeNameServer server("127.0.0.2", port_, knows("nothing"));
  write("resolv.conf", "nameserver 127.0.0.2\nsearch one.example\noptions ndots:2\n");
  EXPECT_EQ(look_up("ghcr.io").error(), Errc::not_found);
  EXPECT_THAT(asked(), ElementsAre("ghcr.io.one.example", "ghcr.io"));
  asked_.clear();
  EXPECT_EQ(look_up("a.ghcr.io").error(), Errc::not_found);
  EXPECT_THAT(asked(), ElementsAre("a.ghcr.io", "a.ghcr.io.one.example"));
  asked_.clear();
  EXPECT_EQ(look_up("ghcr.io.").error(), Errc::not_found);
  EXPECT_THAT(asked(), ElementsAre("ghcr.io"));
}

}  // namespace
}  // namespace hagring::dns::test
