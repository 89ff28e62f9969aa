// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/wire.hpp"

#include <gtest/gtest.h>

namespace hagring::proto {
namespace {

TEST(Wire, ReadsWhatItWrites) {
  Writer writer;
  writer.number(1, 300);
  writer.text(2, "abc");
  writer.number(300, UINT64_MAX);
  EXPECT_EQ(to_hex(writer.message()), "08ac021203616263e012ffffffffffffffffff01");
  Reader reader(writer.message());
  auto field = reader.next();
  EXPECT_EQ(field->number, 1U);
  EXPECT_EQ(field->value, 300U);
  field = reader.next();
  EXPECT_TRUE(field->is_bytes);
  EXPECT_EQ(field->text(), "abc");
  field = reader.next();
  EXPECT_EQ(field->number, 300U);
  EXPECT_EQ(field->value, UINT64_MAX);
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.malformed());
}

TEST(Wire, ReadsFixedNumbers) {
  const auto bytes = *from_hex("0d01000000110200000000000000");
  Reader reader(bytes);
  EXPECT_EQ(reader.next()->value, 1U);
  EXPECT_EQ(reader.next()->value, 2U);
  EXPECT_FALSE(reader.next());
}

TEST(Wire, StopsAtMalformedFields) {
  for (const auto* hex : {"08", "0880", "12", "1205aa", "00", "0b", "0c", "0e", "0d0100", "1101",
                          "08ffffffffffffffffffff01", "12ffffffffffffffffff01", "8080808010"}) {
    const auto bytes = *from_hex(hex);
    Reader reader(bytes);
    EXPECT_FALSE(reader.next()) << hex;
    EXPECT_TRUE(reader.malformed()) << hex;
    EXPECT_FALSE(reader.next()) << hex;
  }
}

}  // namespace
}  // namespace hagring::proto
