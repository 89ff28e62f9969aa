// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "dht/kad/message.hpp"

namespace hagring::kad {
namespace {

struct Field {
  std::uint64_t number = 0;
  std::uint64_t value = 0;  ///< of a varint
  ByteView bytes;           ///< of a length-delimited field
  bool delimited = false;
};

/// Walks a protobuf message's fields.
class Reader {
 public:
  explicit Reader(ByteView rest) : rest_(rest) {}

  bool done() const { return rest_.empty(); }

  /// nullopt when the bytes are no protobuf.
  std::optional<Field> next() {
    const auto tag = varint();
    if (!tag || *tag >> 3 == 0) return std::nullopt;
    Field field;
    field.number = *tag >> 3;
    switch (*tag & 7) {
      case 0: {
        const auto value = varint();
        if (!value) return std::nullopt;
        field.value = *value;
        return field;
      }
      case 1:
        return skip(8) ? std::optional(field) : std::nullopt;
      case 2: {
        const auto size = varint();
        if (!size || *size > rest_.size()) return std::nullopt;
        field.delimited = true;
        field.bytes = rest_.first(*size);
        rest_ = rest_.subspan(*size);
        return field;
      }
      case 5:
        return skip(4) ? std::optional(field) : std::nullopt;
      default:  // groups are not part of proto3
        return std::nullopt;
    }
  }

 private:
  std::optional<std::uint64_t> varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const std::uint8_t byte = rest_.front();
      rest_ = rest_.subspan(1);
      if (shift == 63 && byte > 1) return std::nullopt;
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  }

  bool skip(std::size_t size) {
    if (size > rest_.size()) return false;
    rest_ = rest_.subspan(size);
    return true;
  }

  ByteView rest_;
};

/// Appends the peer that `bytes` describe, unless its ID is none. False when they are no protobuf.
bool read_peer(ByteView bytes, std::vector<PeerInfo>& into) {
  PeerInfo peer;
  bool known = false;
  for (Reader reader(bytes); !reader.done();) {
    const auto field = reader.next();
    if (!field) return false;
    if (!field->delimited) continue;
    if (field->number == 1) {
      const auto id = PeerId::from_bytes(field->bytes);
      known = id.has_value();
      if (id) peer.id = *id;
    } else if (field->number == 2 && peer.addresses.size() < kMaxAddresses &&
               !field->bytes.empty() && field->bytes.size() <= kMaxAddressSize) {
      peer.addresses.emplace_back(field->bytes);
    }
  }
  if (known) into.push_back(std::move(peer));
  return true;
}

}  // namespace

Result<Message> decode_message(ByteView bytes) {
  if (bytes.size() > kMaxMessageSize) return Errc::too_large;
  Message message;
  message.type = MessageType::put_value;  // what proto3 leaves out
  for (Reader reader(bytes); !reader.done();) {
    const auto field = reader.next();
    if (!field) return Errc::bad_message;
    if (field->number == 1 && !field->delimited) {
      if (field->value > static_cast<std::uint64_t>(MessageType::ping)) return Errc::bad_message;
      message.type = static_cast<MessageType>(field->value);
    } else if (field->number == 2 && field->delimited) {
      if (field->bytes.size() > kMaxKeySize) return Errc::too_large;
      message.key.assign(field->bytes.begin(), field->bytes.end());
    } else if (field->number == 8 && field->delimited) {
      if (message.closer_peers.size() >= kMaxCloserPeers) continue;
      if (!read_peer(field->bytes, message.closer_peers)) return Errc::bad_message;
    } else if (field->number == 9 && field->delimited) {
      if (message.provider_peers.size() >= kMaxProviderPeers) continue;
      if (!read_peer(field->bytes, message.provider_peers)) return Errc::bad_message;
    }
  }
  return message;
}

}  // namespace hagring::kad
