// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dht/multiformats/multiaddr.hpp"
#include "dht/public_key.hpp"
#include "userspace/base/byte_stream.hpp"

namespace hagring::dht {

inline constexpr const char* kIdentifyProtocol = "/ipfs/id/1.0.0";
inline constexpr const char* kIdentifyPushProtocol = "/ipfs/id/push/1.0.0";

/// What a peer says of itself (libp2p specs, identify/README.md, "The Identify Message"). In a push
/// that what isn't there stays as it was.
struct IdentifyMessage {
  /// Limits of go-libp2p (p2p/protocol/identify/id.go).
  static constexpr std::size_t kMaxSize = 8192;
  static constexpr int kMaxMessages = 9;
  /// Ours: more of a list are left out, both ways.
  static constexpr std::size_t kMaxAddresses = 64;
  static constexpr std::size_t kMaxProtocols = 128;
  static constexpr std::size_t kMaxText = 256;

  std::optional<PublicKey> key;
  std::vector<Multiaddr> listen_addresses;
  std::vector<std::string> protocols;
  std::optional<Multiaddr> observed_address;
  std::string protocol_version;
  std::string agent_version;
};

/// One message, at most kMaxSize bytes. Signed peer records are left out: they are optional.
Bytes encode_identify(const IdentifyMessage& message);

/// Reads the bytes of one message, or of several behind each other, which are one in protobuf's
/// eyes. Addresses of kinds that aren't known, and texts too long, are skipped. Errors:
/// Errc::bad_message, Errc::too_large, and PublicKey::parse's.
Result<IdentifyMessage> decode_identify(ByteView bytes);

/// Writes `message` and ends our half.
awaitable<Result<void>> write_identify(ByteStream& stream, IdentifyMessage message);

/// Reads messages until the peer has ended its half. Errors: the stream's and decode_identify's;
/// Errc::too_large for a message above kMaxSize or more than kMaxMessages.
awaitable<Result<IdentifyMessage>> read_identify(ByteStream& stream);

}  // namespace hagring::dht
