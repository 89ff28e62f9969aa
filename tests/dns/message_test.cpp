// SPDX-License-Identifier: Apache-2.0
#include "userspace/dns/message.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/dns/messages.hpp"

namespace hagring::dns::test {
namespace {

using asio::ip::make_address_v4;

TEST(Query, IsReadWithoutCaseAndFinalDot) {
  const auto read = parse_query(query("Registry-1.DOCKER.io"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->name, "registry-1.docker.io");
  EXPECT_TRUE(read->asks_for(Type::a));
  EXPECT_FALSE(read->asks_for(Type::aaaa));
  EXPECT_FALSE(read->edns);
  EXPECT_EQ(read->question_end, query("registry-1.docker.io").size());
}

TEST(Query, MayHaveOptions) {
  const auto read = parse_query(query("ghcr.io", kAaaa, true));
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->edns);
  EXPECT_TRUE(read->dnssec_ok);
  EXPECT_TRUE(read->asks_for(Type::aaaa));
  EXPECT_EQ(read->question_end, query("ghcr.io").size());
}

TEST(Query, MayBeForTheRoot) {
  const auto read = parse_query(query("", 2));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->name, "");
}

TEST(Query, IsRefusedCutAnywhere) {
  const auto whole = query("ghcr.io", kA, true);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(parse_query(ByteView(whole).first(size))) << size;
  }
  auto longer = whole;
  longer.push_back(0);
  EXPECT_FALSE(parse_query(longer));
}

TEST(Query, IsRefusedIfItIsSomethingElse) {
  const auto good = query("ghcr.io");
  const auto with = [&](std::size_t offset, std::uint8_t byte) {
    auto changed = good;
    changed[offset] = byte;
    return changed;
  };
  ASSERT_TRUE(parse_query(good));
  EXPECT_FALSE(parse_query(with(2, 0x81))) << "a response";
  EXPECT_FALSE(parse_query(with(2, 0x28))) << "an update";
  EXPECT_FALSE(parse_query(with(5, 0))) << "no question";
  EXPECT_FALSE(parse_query(with(5, 2))) << "two questions";
  EXPECT_FALSE(parse_query(with(7, 1))) << "an answer";
  EXPECT_FALSE(parse_query(with(9, 1))) << "an authority";
  EXPECT_FALSE(parse_query(with(11, 1))) << "a record that isn't there";
  EXPECT_FALSE(parse_query(with(12, 0xc0))) << "a compressed name";
  EXPECT_FALSE(parse_query(with(13, '.'))) << "a dot within a label";
  EXPECT_FALSE(parse_query(with(13, 0))) << "a NUL within a label";
}

TEST(Query, IsRefusedWithANameThatIsTooLong) {
  std::string longest;
  for (int i = 0; i < 3; ++i) longest += std::string(63, 'a') + ".";
  EXPECT_TRUE(parse_query(query(longest + std::string(61, 'a'))));
  EXPECT_FALSE(parse_query(query(longest + std::string(62, 'a'))));
  EXPECT_FALSE(parse_query(query(std::string(64, 'a'))));
}

TEST(ResponseCode, IsThatOfAResponseToTheVeryQuery) {
  const auto asked = query("ghcr.io");
  EXPECT_EQ(*response_code(response(asked, 3), asked), Rcode::nx_domain);
  EXPECT_EQ(*response_code(response(asked, 0), asked), Rcode::no_error);
  EXPECT_FALSE(response_code(asked, asked)) << "a query";
  auto other = response(asked, 0);
  other[1] ^= 1;
  EXPECT_FALSE(response_code(other, asked)) << "another's";
  EXPECT_FALSE(response_code(ByteView(other).first(11), asked));
}

TEST(Answer, HasTheAddressForASecond) {
  const auto asked = query("GHCR.io");
  const auto answer = make_answer(asked, *parse_query(asked), make_address_v4("192.0.2.2"));
  Bytes expected{0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0};
  expected.insert(expected.end(), asked.begin() + kHeaderSize, asked.end());
  for (const int byte : {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 192, 0, 2, 2}) {
    expected.push_back(static_cast<std::uint8_t>(byte));
  }
  EXPECT_EQ(answer, expected) << "the question comes back letter by letter";
}

TEST(Answer, OfAnotherTypeHasNoRecord) {
  const auto asked = query("ghcr.io", kAaaa);
  const auto answer = make_answer(asked, *parse_query(asked), make_address_v4("192.0.2.2"));
  EXPECT_EQ(answer.size(), asked.size());
  EXPECT_EQ(*response_code(answer, asked), Rcode::no_error);
  EXPECT_EQ(answer[7], 0);
}

TEST(Answer, HasOptionsIfTheQueryHas) {
  const auto asked = query("ghcr.io", kA, true);
  const auto read = *parse_query(asked);
  for (const auto& reply :
       {make_answer(asked, read, make_address_v4("192.0.2.2")), make_failure(asked, read)}) {
    EXPECT_EQ(reply[11], 1);
    const Bytes options{0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0};
    ASSERT_GE(reply.size(), options.size());
    EXPECT_TRUE(std::equal(options.rbegin(), options.rend(), reply.rbegin()));
  }
}

TEST(Failure, IsServfailWithoutARecord) {
  const auto asked = query("ghcr.io");
  const auto failure = make_failure(asked, *parse_query(asked));
  EXPECT_EQ(*response_code(failure, asked), Rcode::serv_fail);
  EXPECT_EQ(failure.size(), asked.size());
}

}  // namespace
}  // namespace hagring::dns::test
