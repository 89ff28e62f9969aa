// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/data_frame.hpp"

#include <fmt/core.h>

#include <charconv>

namespace hagring::herd {
namespace {

constexpr std::size_t kHead = 5;
constexpr std::size_t kNumber = 8;
/// Longer than any mark that privacy keeps.
constexpr std::size_t kMaxMark = 16UL * 1024;

std::optional<std::uint64_t> read_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || text.empty()) return std::nullopt;
  return number;
}

/// The value after `key=` if `text` has it.
std::optional<std::string_view> value_of(std::string_view text, std::string_view key) {
  if (!text.starts_with(key) || text.size() <= key.size() || text[key.size()] != '=') {
    return std::nullopt;
  }
  return text.substr(key.size() + 1);
}

awaitable<Result<void>> read_exactly(http::Connection& connection, MutableBytes into) {
  while (!into.empty()) {
    CO_TRY(const auto size, co_await connection.read_body(into));
    if (size == 0) co_return Errc::truncated;
    into = into.subspan(size);
  }
  co_return Result<void>();
}

}  // namespace

std::string to_string(const StripeRequest& request) {
  auto text = fmt::format("stripe={};next={}", request.stripe, request.next);
  if (!request.zone.empty()) text += ";zone=" + request.zone;
  return text;
}

std::optional<StripeRequest> parse_stripe_request(std::string_view text) {
  StripeRequest request;
  bool has_stripe = false;
  bool has_next = false;
  while (!text.empty()) {
    const auto part = text.substr(0, text.find(';'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    if (const auto stripe = value_of(part, "stripe")) {
      const auto number = read_number(*stripe);
      if (!number || *number >= kStripes) return std::nullopt;
      request.stripe = static_cast<Stripe>(*number);
      has_stripe = true;
    } else if (const auto next = value_of(part, "next")) {
      const auto number = read_number(*next);
      if (!number || *number > kMaxBlob / kPieceSize) return std::nullopt;
      request.next = *number;
      has_next = true;
    } else if (const auto zone = value_of(part, "zone")) {
      if (zone->size() > kMaxZone) return std::nullopt;
      request.zone = *zone;
    } else {
      return std::nullopt;
    }
  }
  return has_stripe && has_next ? std::optional(request) : std::nullopt;
}

void append_number(Bytes& into, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    into.push_back(static_cast<std::uint8_t>(number >> shift));
  }
}

Result<std::uint64_t> number_of(ByteView payload) {
  if (payload.size() < kNumber) return Errc::bad_message;
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < kNumber; ++i) number = number << 8 | payload[i];
  return number;
}

Bytes encode_about(const About& about) {
  Bytes payload;
  append_number(payload, about.size);
  payload.push_back(about.private_mark ? 1 : 0);
  if (about.private_mark) {
    const auto mark = as_bytes(*about.private_mark);
    payload.insert(payload.end(), mark.begin(), mark.end());
  }
  return payload;
}

Result<About> decode_about(ByteView payload) {
  TRY(const auto size, number_of(payload));
  if (payload.size() <= kNumber || size > kMaxBlob) return Errc::bad_message;
  About about{.size = size};
  const auto flag = payload[kNumber];
  const auto mark = as_text(payload.subspan(kNumber + 1));
  if (flag > 1 || (flag == 0 && !mark.empty()) || mark.size() > kMaxMark) return Errc::bad_message;
  if (flag == 1) about.private_mark = std::string(mark);
  return about;
}

Bytes frame_head(FrameKind kind, std::size_t length) {
  Bytes head{static_cast<std::uint8_t>(kind)};
  for (int shift = 24; shift >= 0; shift -= 8) {
    head.push_back(static_cast<std::uint8_t>(length >> shift));
  }
  return head;
}

Bytes encode_frame(FrameKind kind, ByteView payload) {
  auto frame = frame_head(kind, payload.size());
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

awaitable<Result<void>> read_frame(http::Connection& connection, DataFrame& into) {
  std::array<std::uint8_t, kHead> head{};
  CO_CHECK(co_await read_exactly(connection, head));
  if (head[0] < 1 || head[0] > static_cast<std::uint8_t>(FrameKind::end)) {
    co_return Errc::bad_message;
  }
  into.kind = static_cast<FrameKind>(head[0]);
  std::size_t length = 0;
  for (std::size_t i = 1; i < kHead; ++i) length = length << 8 | head[i];
  if (length > kMaxFrame) co_return Errc::too_large;
  into.payload.resize(length);
  co_return co_await read_exactly(connection, into.payload);
}

}  // namespace hagring::herd
