// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/message.hpp"

namespace hagring::herd {
namespace {

/// kMaxMessage takes 2 bytes of a varint (7 bits each); more is a length beyond the limit.
constexpr std::size_t kMaxLengthBytes = 2;
static_assert(kMaxMessage < (1U << (7 * kMaxLengthBytes)));

struct Length {
  std::size_t prefix = 0;  ///< bytes of the length itself; 0 while it isn't complete
  std::size_t size = 0;
};

Result<Length> read_length(ByteView bytes) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < kMaxLengthBytes; ++i) {
    if (i == bytes.size()) return Length{};
    size |= static_cast<std::size_t>(bytes[i] & 0x7f) << (7 * i);
    if ((bytes[i] & 0x80) != 0) continue;
    if (size > kMaxMessage) return Errc::too_large;
    return Length{i + 1, size};
  }
  return Errc::too_large;
}

}  // namespace

Bytes encode_frame(const Message& message) {
  const Bytes body = encode(message);
  Bytes frame;
  frame.reserve(body.size() + kMaxLengthBytes);
  std::size_t rest = body.size();
  for (; rest >= 0x80; rest >>= 7) frame.push_back(static_cast<std::uint8_t>(rest | 0x80));
  frame.push_back(static_cast<std::uint8_t>(rest));
  frame.insert(frame.end(), body.begin(), body.end());
  return frame;
}

Result<void> FrameReader::take(ByteView bytes, std::vector<Message>& into) {
  held_.insert(held_.end(), bytes.begin(), bytes.end());
  ByteView rest = held_;
  while (!rest.empty()) {
    TRY(const Length length, read_length(rest));
    if (length.prefix == 0 || rest.size() - length.prefix < length.size) break;
    TRY(Message message, decode(rest.subspan(length.prefix, length.size)));
    into.push_back(std::move(message));
    rest = rest.subspan(length.prefix + length.size);
  }
  held_.erase(held_.begin(), held_.end() - static_cast<std::ptrdiff_t>(rest.size()));
  return {};
}

}  // namespace hagring::herd
