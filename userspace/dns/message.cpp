// SPDX-License-Identifier: Apache-2.0
#include "userspace/dns/message.hpp"

#include <algorithm>

#include "userspace/dns/message_reader.hpp"

namespace hagring::dns {
namespace {

constexpr std::size_t kMaxLabel = 63;
constexpr std::size_t kMaxName = 255;  ///< length bytes and the root's included
/// How long an invented address may be remembered, in seconds: DNS may be back at any time.
constexpr std::uint32_t kTimeToLive = 1;
/// The reply that we take by UDP, for OPT records of ours (DNS Flag Day 2020).
constexpr std::uint16_t kUdpSize = 1232;

// Of the header's third and fourth byte (RFC 1035, 4.1.1; RFC 4035, 3.2).
constexpr std::uint8_t kResponse = 0x80;
constexpr std::uint8_t kOpcode = 0x78;
constexpr std::uint8_t kRecursionDesired = 0x01;
constexpr std::uint8_t kRecursionAvailable = 0x80;
constexpr std::uint8_t kCheckingDisabled = 0x10;
constexpr std::uint8_t kRcode = 0x0f;

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/// A name without compression, which a first name can't have.
std::string read_name(MessageReader& reader) {
  std::string name;
  std::size_t size = 1;
  for (auto length = reader.byte(); length != 0; length = reader.byte()) {
    size += length + 1U;
    if (length > kMaxLabel || size > kMaxName) {
      reader.fail();
      return {};
    }
    if (!name.empty()) name += '.';
    for (std::size_t i = 0; i < length; ++i) {
      auto c = static_cast<char>(reader.byte());
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      if (!is_host_character(c)) reader.fail();
      name += c;
    }
    if (reader.failed()) return {};
  }
  return name;
}

/// The OPT record (RFC 6891, section 6.1.2), which ends the message.
void read_options(MessageReader& reader, Query& query) {
  constexpr std::uint16_t kDnssecOk = 0x8000;
  if (reader.byte() != 0 || reader.number16() != static_cast<std::uint16_t>(Type::opt)) {
    reader.fail();
  }
  reader.number16();  // the reply that it takes by UDP
  reader.number16();  // extended response code and version
  query.dnssec_ok = (reader.number16() & kDnssecOk) != 0;
  reader.skip(reader.number16());
  query.edns = true;
}

void put16(Bytes& into, std::uint16_t number) {
  into.push_back(static_cast<std::uint8_t>(number >> 8));
  into.push_back(static_cast<std::uint8_t>(number));
}

void put_options(Bytes& into, bool dnssec_ok) {
  into.push_back(0);
  put16(into, static_cast<std::uint16_t>(Type::opt));
  put16(into, kUdpSize);
  put16(into, 0);
  put16(into, dnssec_ok ? 0x8000 : 0);  // copied from the query: RFC 3225, section 3
  put16(into, 0);
}

/// Header and question of a reply with `answers` records to come before the OPT record.
Bytes begin_reply(ByteView message, const Query& query, Rcode rcode, std::uint16_t answers) {
  Bytes reply(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(query.question_end));
  reply[2] = static_cast<std::uint8_t>(kResponse | (message[2] & kRecursionDesired));
  reply[3] = static_cast<std::uint8_t>(kRecursionAvailable | (message[3] & kCheckingDisabled) |
                                       static_cast<std::uint8_t>(rcode));
  reply[7] = static_cast<std::uint8_t>(answers);
  reply[11] = query.edns ? 1 : 0;
  return reply;
}

}  // namespace

Result<Query> parse_query(ByteView message) {
  MessageReader reader(message);
  reader.number16();  // ID
  const auto flags = reader.byte();
  reader.byte();
  const auto questions = reader.number16();
  const auto answers = reader.number16();
  const auto authorities = reader.number16();
  const auto additional = reader.number16();
  if ((flags & (kResponse | kOpcode)) != 0 || questions != 1 || answers != 0 || authorities != 0 ||
      additional > 1) {
    return Errc::bad_message;
  }
  Query query;
  query.name = read_name(reader);
  query.type = reader.number16();
  query.record_class = reader.number16();
  query.question_end = reader.offset();
  if (additional == 1) read_options(reader, query);
  if (reader.failed() || !reader.at_end()) return Errc::bad_message;
  return query;
}

Result<Rcode> response_code(ByteView message, ByteView id_bytes) {
  if (message.size() < kHeaderSize || id_bytes.size() < 2 || (message[2] & kResponse) == 0 ||
      !std::equal(id_bytes.begin(), id_bytes.begin() + 2, message.begin())) {
    return Errc::bad_message;
  }
  return static_cast<Rcode>(message[3] & kRcode);
}

Bytes make_answer(ByteView message, const Query& query, const asio::ip::address_v4& address) {
  const bool has_address = query.asks_for(Type::a);
  auto reply = begin_reply(message, query, Rcode::no_error, has_address ? 1 : 0);
  if (has_address) {
    put16(reply, 0xc000 | kHeaderSize);  // the question's name (RFC 1035, 4.1.4)
    put16(reply, static_cast<std::uint16_t>(Type::a));
    put16(reply, kClassInternet);
    put16(reply, 0);
    put16(reply, kTimeToLive);
    const auto bytes = address.to_bytes();
    put16(reply, static_cast<std::uint16_t>(bytes.size()));
    reply.insert(reply.end(), bytes.begin(), bytes.end());
  }
  if (query.edns) put_options(reply, query.dnssec_ok);
  return reply;
}

Bytes make_failure(ByteView message, const Query& query) {
  auto reply = begin_reply(message, query, Rcode::serv_fail, 0);
  if (query.edns) put_options(reply, query.dnssec_ok);
  return reply;
}

}  // namespace hagring::dns
