// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dht/kad/peer.hpp"
#include "userspace/base/bytes.hpp"
#include "userspace/base/result.hpp"

namespace hagring::kad {

/// What a message asks for (kad-dht specification, "RPC messages"; the numbers are the wire's).
enum class MessageType : std::uint8_t {
  put_value = 0,
  get_value = 1,
  add_provider = 2,
  get_providers = 3,
  find_node = 4,
  ping = 5,
};

/// The longest message of the specification and of go-libp2p, without its length prefix.
inline constexpr std::size_t kMaxMessageSize = std::size_t{4} * 1024 * 1024;
/// Longest key that a provider record may have (go-libp2p-kad-dht, handlers.go).
inline constexpr std::size_t kMaxProviderKeySize = 80;
/// Longest key that is read at all: FIND_NODE's may be any bytes.
inline constexpr std::size_t kMaxKeySize = 1024;
/// A reply's closer peers beyond these are dropped, as go-libp2p does.
inline constexpr std::size_t kMaxCloserPeers = 40;
/// A reply's providers beyond these are dropped: nobody needs more sources for one blob.
inline constexpr std::size_t kMaxProviderPeers = 256;
/// A peer's addresses beyond these are dropped.
inline constexpr std::size_t kMaxAddresses = 16;
/// An address that is longer is dropped.
inline constexpr std::size_t kMaxAddressSize = 256;

/// A Kademlia message, request or reply.
struct Message {
  MessageType type = MessageType::ping;
  Bytes key;
  std::vector<PeerInfo> closer_peers;
  std::vector<PeerInfo> provider_peers;

  bool operator==(const Message&) const = default;
};

/// The protobuf form, without a length prefix, as go-libp2p writes it.
Bytes encode(const Message& message);

/// Reads a message's protobuf form. Peers with an ID that is none are left out, as are lists' ends
/// beyond the limits above, so memory is bounded whatever the peer sends; unknown fields are
/// skipped. Errors: Errc::bad_message for bytes that are no protobuf or no message type,
/// Errc::too_large for a message or a key over its limit.
Result<Message> decode_message(ByteView bytes);

}  // namespace hagring::kad
