// SPDX-License-Identifier: Apache-2.0
#include "registry/range.hpp"

#include <gtest/gtest.h>

namespace hagring::registry {
namespace {

using Kind = Selection::Kind;

constexpr Selection part(std::uint64_t first, std::uint64_t length) {
  return {Kind::part, first, length};
}
constexpr Selection kUnsatisfiable{Kind::unsatisfiable, 0, 0};

TEST(Range, SelectsParts) {
  EXPECT_EQ(select_range("bytes=0-9", 100), part(0, 10));
  EXPECT_EQ(select_range("bytes=10-", 100), part(10, 90));
  EXPECT_EQ(select_range("bytes=-10", 100), part(90, 10));
  EXPECT_EQ(select_range("bytes=-1000", 100), part(0, 100));
  EXPECT_EQ(select_range("bytes=99-99", 100), part(99, 1));
  EXPECT_EQ(select_range("bytes=50-1000", 100), part(50, 50));
  EXPECT_EQ(select_range(" Bytes= 0-0 ", 100), part(0, 1));
  EXPECT_EQ(select_range("bytes=0-", 100), part(0, 100));
}

TEST(Range, MalformedOrSeveralMeanTheWhole) {
  const Selection whole{Kind::whole, 0, 100};
  EXPECT_EQ(select_range(std::nullopt, 100), whole);
  for (const std::string_view field :
       {"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "bytes=5-4", "bytes=0-1,5-6",
        "bytes=0-1, 5-6", "items=0-1", "bytes=--1", "bytes=+1-2", "bytes=1-2-3", "bytes=0x1-2",
        "bytes 0-1", "bytes=1 - 2", "bytes=1-2;"}) {
    EXPECT_EQ(select_range(field, 100), whole) << field;
  }
}

TEST(Range, BeyondTheEndIsUnsatisfiable) {
  EXPECT_EQ(select_range("bytes=100-", 100), kUnsatisfiable);
  EXPECT_EQ(select_range("bytes=100-200", 100), kUnsatisfiable);
  EXPECT_EQ(select_range("bytes=-0", 100), kUnsatisfiable);
  EXPECT_EQ(select_range("bytes=-5", 0), kUnsatisfiable);
  EXPECT_EQ(select_range("bytes=1-", 0), kUnsatisfiable);
  EXPECT_EQ(select_range("bytes=0-", 0), (Selection{Kind::whole, 0, 0}));
}

TEST(Range, AbsurdNumbersSaturate) {
  const std::string huge(400, '9');
  EXPECT_EQ(select_range("bytes=" + huge + "-", 100), kUnsatisfiable);
  EXPECT_EQ(select_range("bytes=0-" + huge, 100), part(0, 100));
  EXPECT_EQ(select_range("bytes=-" + huge, 100), part(0, 100));
  EXPECT_EQ(select_range("bytes=18446744073709551615-18446744073709551615", UINT64_MAX),
            kUnsatisfiable);
  EXPECT_EQ(select_range("bytes=0-", UINT64_MAX), part(0, UINT64_MAX));
}

TEST(Range, IsWritten) {
  EXPECT_EQ(content_range(part(10, 90), 100), "bytes 10-99/100");
  EXPECT_EQ(content_range(kUnsatisfiable, 100), "bytes */100");
  EXPECT_EQ((ByteRange{5, std::nullopt}).to_string(), "bytes=5-");
  EXPECT_EQ((ByteRange{5, 6}).to_string(), "bytes=5-6");
  EXPECT_EQ((ByteRange{std::nullopt, 6}).to_string(), "bytes=-6");
}

TEST(ContentRange, IsRead) {
  const auto range = ContentRange::parse("bytes 10-99/100");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->first, 10U);
  EXPECT_EQ(range->length(), 90U);
  EXPECT_EQ(range->size, 100U);
  EXPECT_EQ(ContentRange::parse("bytes 0-0/*")->size, std::nullopt);
  for (const std::string_view field :
       {"", "bytes */100", "bytes 5-4/100", "bytes 0-100/100", "bytes 0-1", "bytes 0/1-2",
        "bytes 0-1/", "bytes=0-1/2", "0-1/2", "bytes 0-18446744073709551615/*", "bytes -1/2"}) {
    EXPECT_FALSE(ContentRange::parse(field)) << field;
  }
}

}  // namespace
}  // namespace hagring::registry
