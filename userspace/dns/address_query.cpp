// SPDX-License-Identifier: Apache-2.0
#include "userspace/dns/address_query.hpp"

#include <algorithm>
#include <random>

#include "userspace/dns/message_reader.hpp"

namespace hagring::dns {
namespace {

constexpr std::size_t kMaxLabel = 63;
constexpr std::size_t kMaxText = 253;  ///< of a name without its final dot
constexpr std::uint8_t kTruncated = 0x02;

void put16(Bytes& into, std::size_t number) {
  into.push_back(static_cast<std::uint8_t>(number >> 8));
  into.push_back(static_cast<std::uint8_t>(number));
}

std::uint8_t lower(std::uint8_t c) {
  return c >= 'A' && c <= 'Z' ? static_cast<std::uint8_t>(c - 'A' + 'a') : c;
}

/// A name, compressed or not, whose text nobody needs.
void skip_name(MessageReader& reader) {
  constexpr std::uint8_t kPointer = 0xc0;  // RFC 1035, section 4.1.4
  while (!reader.failed()) {
    const auto length = reader.byte();
    if (length == 0) return;
    if (length >= kPointer) return reader.skip(1);
    if (length > kMaxLabel) return reader.fail();
    reader.skip(length);
  }
}

template <typename Address>
Address read_address(MessageReader& reader) {
  typename Address::bytes_type bytes{};
  for (auto& byte : bytes) byte = reader.byte();
  return Address(bytes);
}

void read_record(MessageReader& reader, Type wanted, AddressReply& into) {
  skip_name(reader);
  const auto type = reader.number16();
  const auto record_class = reader.number16();
  reader.skip(4);  // time to live
  const std::size_t size = reader.number16();
  const bool counts = type == static_cast<std::uint16_t>(wanted) && record_class == kClassInternet;
  if (counts && wanted == Type::a && size == 4) {
    into.addresses.emplace_back(read_address<asio::ip::address_v4>(reader));
  } else if (counts && wanted == Type::aaaa && size == 16) {
    into.addresses.emplace_back(read_address<asio::ip::address_v6>(reader));
  } else {
    reader.skip(size);
  }
}

/// Whether `reply` repeats the question of `query`, in whatever case.
bool has_question_of(ByteView reply, ByteView query) {
  return reply.size() >= query.size() && reply[4] == 0 && reply[5] == 1 &&
         std::equal(query.begin() + kHeaderSize, query.end(), reply.begin() + kHeaderSize,
                    [](auto a, auto b) { return lower(a) == lower(b); });
}

}  // namespace

Result<Bytes> make_query(std::string_view name, Type type) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > kMaxText) return Errc::bad_message;
  std::random_device random;
  Bytes query;
  put16(query, random() & 0xffff);
  for (const std::uint16_t word : {0x0100, 1, 0, 0, 0}) put16(query, word);
  while (true) {
    const auto label = name.substr(0, name.find('.'));
    if (label.empty() || label.size() > kMaxLabel) return Errc::bad_message;
    query.push_back(static_cast<std::uint8_t>(label.size()));
    query.insert(query.end(), label.begin(), label.end());
    if (label.size() == name.size()) break;
    name.remove_prefix(label.size() + 1);
  }
  query.push_back(0);
  put16(query, static_cast<std::uint16_t>(type));
  put16(query, kClassInternet);
  return query;
}

Result<AddressReply> read_addresses(ByteView reply, ByteView query) {
  TRY(const auto rcode, response_code(reply, query));
  if (!has_question_of(reply, query)) return Errc::bad_message;
  AddressReply read{.rcode = rcode, .truncated = (reply[2] & kTruncated) != 0};
  if (read.truncated) return read;
  const auto wanted = static_cast<Type>(query[query.size() - 4] << 8 | query[query.size() - 3]);
  MessageReader reader(reply);
  reader.skip(6);
  const auto answers = reader.number16();
  reader.skip(query.size() - reader.offset());
  for (std::size_t i = 0; i < answers && !reader.failed(); ++i) read_record(reader, wanted, read);
  if (reader.failed()) return Errc::bad_message;
  return read;
}

}  // namespace hagring::dns
