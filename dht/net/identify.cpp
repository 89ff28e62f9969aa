// SPDX-License-Identifier: Apache-2.0
#include "dht/net/identify.hpp"

#include <algorithm>

#include "dht/net/exact.hpp"
#include "userspace/base/wire.hpp"

namespace hagring::dht {
namespace {

/// Fields of the message (identify/README.md).
enum Number : std::uint32_t {
  kPublicKey = 1,
  kListenAddresses = 2,
  kProtocols = 3,
  kObservedAddress = 4,
  kProtocolVersion = 5,
  kAgentVersion = 6,
};

void take_text(const proto::Field& field, std::string& into) {
  if (field.bytes.size() <= IdentifyMessage::kMaxText) into = field.text();
}

Result<void> take(const proto::Field& field, IdentifyMessage& into) {
  switch (field.number) {
    case kPublicKey: {
      TRY(into.key, PublicKey::parse(field.bytes));
      break;
    }
    case kListenAddresses: {
      if (into.listen_addresses.size() >= IdentifyMessage::kMaxAddresses) break;
      if (auto address = Multiaddr::from_bytes(field.bytes)) {
        into.listen_addresses.push_back(std::move(*address));
      }
      break;
    }
    case kProtocols:
      if (into.protocols.size() < IdentifyMessage::kMaxProtocols && !field.bytes.empty() &&
          field.bytes.size() <= IdentifyMessage::kMaxText) {
        into.protocols.emplace_back(field.text());
      }
      break;
    case kObservedAddress: {
      if (auto address = Multiaddr::from_bytes(field.bytes)) {
        into.observed_address = std::move(*address);
      }
      break;
    }
    case kProtocolVersion:
      take_text(field, into.protocol_version);
      break;
    case kAgentVersion:
      take_text(field, into.agent_version);
      break;
    default:
      break;
  }
  return {};
}

}  // namespace

Bytes encode_identify(const IdentifyMessage& message) {
  proto::Writer writer;
  if (message.key) writer.bytes(kPublicKey, message.key->message());
  if (message.observed_address) {
    writer.bytes(kObservedAddress, message.observed_address->to_bytes());
  }
  if (!message.protocol_version.empty()) writer.text(kProtocolVersion, message.protocol_version);
  if (!message.agent_version.empty()) writer.text(kAgentVersion, message.agent_version);
  const auto has_room = [&](std::size_t size) {
    return writer.message().size() + size + 8 <= IdentifyMessage::kMaxSize;
  };
  for (const auto& protocol : message.protocols) {
    if (has_room(protocol.size())) writer.text(kProtocols, protocol);
  }
  for (const auto& address : message.listen_addresses) {
    const auto bytes = address.to_bytes();
    if (has_room(bytes.size())) writer.bytes(kListenAddresses, bytes);
  }
  return writer.take();
}

Result<IdentifyMessage> decode_identify(ByteView bytes) {
  if (bytes.size() > IdentifyMessage::kMaxSize * IdentifyMessage::kMaxMessages) {
    return Errc::too_large;
  }
  IdentifyMessage message;
  proto::Reader reader(bytes);
  while (const auto field = reader.next()) {
    if (field->is_bytes) CHECK_OK(take(*field, message));
  }
  if (reader.malformed()) return Errc::bad_message;
  return message;
}

awaitable<Result<void>> write_identify(ByteStream& stream, IdentifyMessage message) {
  const auto bytes = encode_identify(message);
  CO_CHECK(co_await write_delimited(stream, bytes));
  co_return co_await stream.shutdown_write();
}

awaitable<Result<IdentifyMessage>> read_identify(ByteStream& stream) {
  Bytes all;
  for (int messages = 0;; ++messages) {
    const auto one = co_await read_delimited(stream, IdentifyMessage::kMaxSize);
    if (!one) {
      if (one.error() != Errc::end_of_stream || messages == 0) co_return one.error();
      co_return decode_identify(all);
    }
    if (messages == IdentifyMessage::kMaxMessages) co_return Errc::too_large;
    all.insert(all.end(), one->begin(), one->end());
  }
}

}  // namespace hagring::dht
