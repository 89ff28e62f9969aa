// SPDX-License-Identifier: Apache-2.0
#include "userspace/dns/address_query.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/dns/messages.hpp"

namespace hagring::dns::test {
namespace {

using asio::ip::make_address;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// A record of `type` with `data`, of the question's name.
void add_record(Bytes& reply, std::uint16_t type, const Bytes& data) {
  ++reply[7];
  for (const int byte :
       {0xc0, 12, type >> 8, type & 0xff, 0, 1, 0, 0, 0, 60, 0, static_cast<int>(data.size())}) {
    reply.push_back(static_cast<std::uint8_t>(byte));
  }
  reply.insert(reply.end(), data.begin(), data.end());
}

TEST(AddressQuery, IsWhatStubResolversSend) {
  const auto made = *make_query("Registry.example.com.", Type::aaaa);
  auto expected = query("Registry.example.com", kAaaa);
  expected[0] = made[0];
  expected[1] = made[1];
  EXPECT_EQ(made, expected);
  EXPECT_EQ(parse_query(made)->name, "registry.example.com");
}

TEST(AddressQuery, HasAnIdThatNobodyKnowsBefore) {
  std::set<std::pair<int, int>> ids;
  for (int i = 0; i < 20; ++i) {
    const auto made = *make_query("ghcr.io", Type::a);
    ids.insert({made[0], made[1]});
  }
  EXPECT_GT(ids.size(), 15U);
}

TEST(AddressQuery, TakesNoImpossibleName) {
  const std::string label(63, 'a');
  EXPECT_TRUE(make_query(label + "." + label + "." + label + "." + label.substr(2), Type::a));
  for (const auto& name : {std::string(), std::string("."), std::string("a..b"), label + "a",
                           std::string(".a"), label + "." + label + "." + label + "." + label}) {
    EXPECT_FALSE(make_query(name, Type::a)) << name;
  }
}

TEST(AddressReply, HasTheAddressesOfTheTypeThatWasAskedFor) {
  const auto asked = query("ghcr.io");
  auto reply = response(asked, 0);
  add_record(reply, 5, {3, 'w', 'w', 'w', 0xc0, 12});
  add_record(reply, kA, {192, 0, 2, 7});
  add_record(reply, kAaaa, Bytes(16, 1));
  add_record(reply, kA, {192, 0, 2, 8});
  const auto read = read_addresses(reply, asked);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->rcode, Rcode::no_error);
  EXPECT_THAT(read->addresses, ElementsAre(make_address("192.0.2.7"), make_address("192.0.2.8")));

  const auto asked6 = query("ghcr.io", kAaaa);
  auto reply6 = response(asked6, 0);
  add_record(reply6, kAaaa, Bytes(16, 0x20));
  EXPECT_THAT(read_addresses(reply6, asked6)->addresses,
              ElementsAre(make_address("2020:2020:2020:2020:2020:2020:2020:2020")));
}

TEST(AddressReply, MayRepeatTheQuestionInAnotherCase) {
  const auto asked = query("ghcr.io");
  auto reply = response(query("GHCR.io"), 0);
  add_record(reply, kA, {192, 0, 2, 7});
  EXPECT_EQ(read_addresses(reply, asked)->addresses.size(), 1U);
}

TEST(AddressReply, ToAnotherQueryIsNone) {
  const auto asked = query("ghcr.io");
  EXPECT_FALSE(read_addresses(response(query("ghcr.ix"), 0), asked));
  EXPECT_FALSE(read_addresses(response(query("ghcr.io", kAaaa), 0), asked));
  EXPECT_FALSE(read_addresses(asked, asked)) << "a query";
  auto other = response(asked, 0);
  other[0] ^= 1;
  EXPECT_FALSE(read_addresses(other, asked));
  auto two = response(asked, 0);
  two[5] = 2;
  EXPECT_FALSE(read_addresses(two, asked));
}

TEST(AddressReply, CutAnywhereIsNone) {
  const auto asked = query("ghcr.io");
  auto reply = response(asked, 0);
  add_record(reply, kA, {192, 0, 2, 7});
  for (std::size_t size = 0; size < reply.size(); ++size) {
    EXPECT_FALSE(read_addresses(ByteView(reply).first(size), asked)) << size;
  }
  reply[7] = 2;
  EXPECT_FALSE(read_addresses(reply, asked)) << "a record that isn't there";
}

TEST(AddressReply, WithAddressesOfOtherSizesHasNone) {
  const auto asked = query("ghcr.io");
  auto reply = response(asked, 0);
  add_record(reply, kA, Bytes(16, 1));
  add_record(reply, kA, {});
  EXPECT_THAT(read_addresses(reply, asked)->addresses, IsEmpty());
}

TEST(AddressReply, SaysThatItIsTruncatedAndWhyThereIsNone) {
  const auto asked = query("ghcr.io");
  auto reply = response(asked, 0);
  reply[2] |= 0x02;
  EXPECT_TRUE(read_addresses(reply, asked)->truncated);
  EXPECT_EQ(read_addresses(response(asked, 3), asked)->rcode, Rcode::nx_domain);
}

}  // namespace
}  // namespace hagring::dns::test
