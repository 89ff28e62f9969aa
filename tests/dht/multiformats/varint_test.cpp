// SPDX-License-Identifier: Apache-2.0
#include "dht/multiformats/varint.hpp"

#include <gtest/gtest.h>

namespace hagring::dht {
namespace {

using Status = VarintRead::Status;

TEST(Varint, ReadsWhatItWrites) {
  for (const std::uint64_t value :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{127}, std::uint64_t{128},
        std::uint64_t{300}, std::uint64_t{16384}, (std::uint64_t{1} << 63) - 1}) {
    Bytes bytes;
    append_varint(bytes, value);
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      EXPECT_EQ(read_varint(ByteView(bytes).first(cut)).status, Status::incomplete);
    }
    const auto size = bytes.size();
    bytes.push_back(0xff);
    const auto read = read_varint(bytes);
    EXPECT_EQ(read.status, Status::complete);
    EXPECT_EQ(read.value, value);
    EXPECT_EQ(read.size, size);
  }
}

TEST(Varint, RefusesLongForms) {
  EXPECT_EQ(read_varint(Bytes{0x80, 0x00}).status, Status::malformed);
  EXPECT_EQ(read_varint(Bytes{0xff, 0x80, 0x00}).status, Status::malformed);
  EXPECT_EQ(read_varint(Bytes(9, 0x80)).status, Status::malformed);
  EXPECT_EQ(read_varint(Bytes(10, 0xff)).status, Status::malformed);
}

TEST(Varint, ReadsNoMoreThanNineBytesOfOneThatNeverEnds) {
  EXPECT_EQ(read_varint(Bytes(8, 0xff)).status, Status::incomplete);
  EXPECT_EQ(read_varint(Bytes(9, 0xff)).status, Status::malformed);
  EXPECT_EQ(read_varint(Bytes(1 << 20, 0xff)).status, Status::malformed);
  auto nine = Bytes(8, 0xff);
  nine.push_back(0x7f);
  EXPECT_EQ(read_varint(nine).value, (std::uint64_t{1} << 63) - 1);
  nine.insert(nine.end() - 1, 0xff);  // ten bytes, and 64 bits that would fit
  EXPECT_EQ(read_varint(nine).status, Status::malformed);
}

}  // namespace
}  // namespace hagring::dht
