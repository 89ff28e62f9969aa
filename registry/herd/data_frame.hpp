// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "registry/herd/message.hpp"
#include "userspace/base/asio.hpp"
#include "userspace/base/bytes.hpp"
#include "userspace/base/result.hpp"
#include "userspace/http/connection.hpp"

namespace hagring::herd {

/// A child asks its parent for a stripe by an ordinary read of the blob on the peer port with this
/// field; the answer's body is frames. Nodes that don't know it send the blob.
inline constexpr std::string_view kStripeField = "X-Hagring-Herd";

/// In a peer's request for a whole blob: the asker can join the herd of the zone that is its value.
/// In the refusal of it: it should.
inline constexpr std::string_view kJoinField = "X-Hagring-Join";

/// Value of kStripeField in a request.
struct StripeRequest {
  Stripe stripe = 0;
  std::uint64_t next = 0;  ///< the first piece of the stripe that the child wants
  std::string zone = {};

  bool operator==(const StripeRequest&) const = default;
};

/// `stripe=0;next=12;zone=a`
std::string to_string(const StripeRequest& request);
/// nullopt for anything else.
std::optional<StripeRequest> parse_stripe_request(std::string_view text);

/// What an answer's body consists of: kind (1 byte), length (4 bytes, big-endian), payload.
enum class FrameKind : std::uint8_t {
  about = 1,  ///< once, before any piece: the blob's size (8), 1 if it is private, and its mark
  batch = 2,  ///< an encoded Batch
  piece = 3,  ///< its index in the stripe (8), its bytes
  beat = 4,   ///< how many pieces of the stripe the parent has (8)
  end = 5,    ///< the stripe is complete
};

/// No payload is longer.
inline constexpr std::size_t kMaxFrame = kPieceSize + 8;

struct DataFrame {
  FrameKind kind = FrameKind::beat;
  Bytes payload = {};
};

/// Of an `about` frame.
struct About {
  std::uint64_t size = 0;
  std::optional<std::string> private_mark = {};

  bool operator==(const About&) const = default;
};

Bytes encode_about(const About& about);
/// Errors: Errc::bad_message.
Result<About> decode_about(ByteView payload);

/// A number in front of a payload's rest. Errors: Errc::bad_message.
Result<std::uint64_t> number_of(ByteView payload);
void append_number(Bytes& into, std::uint64_t number);

/// A frame's first bytes, and a frame with a payload in one.
Bytes frame_head(FrameKind kind, std::size_t length);
Bytes encode_frame(FrameKind kind, ByteView payload);

/// Reads the next frame of a body. Errors: Errc::truncated at its end, Errc::bad_message (an
/// unknown kind), Errc::too_large, the connection's.
awaitable<Result<void>> read_frame(http::Connection& connection, DataFrame& into);

}  // namespace hagring::herd
