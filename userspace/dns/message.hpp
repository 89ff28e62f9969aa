// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/address_v4.hpp>
#include <cstdint>
#include <string>

#include "userspace/base/asio.hpp"
#include "userspace/base/bytes.hpp"
#include "userspace/base/result.hpp"

/// DNS messages (RFC 1035, section 4), as far as the stub must understand them: one question in,
/// the response code of what comes back. Everything else is passed on as bytes.
namespace hagring::dns {

/// Record types and the class that the stub knows (RFC 1035, 3.2; RFC 3596; RFC 6891).
enum class Type : std::uint16_t { a = 1, aaaa = 28, opt = 41 };
inline constexpr std::uint16_t kClassInternet = 1;

/// Response codes (RFC 1035, 4.1.1). Others are numbers that nobody here looks at.
enum class Rcode : std::uint8_t { no_error = 0, serv_fail = 2, nx_domain = 3, refused = 5 };

/// The longest message over TCP, by its length field (RFC 1035, 4.2.2), and over UDP.
inline constexpr std::size_t kMaxMessage = 65535;
/// What a stub resolver's query may have: a name of 255 bytes and options. Longer ones aren't
/// taken.
inline constexpr std::size_t kMaxQuery = 4096;
inline constexpr std::size_t kHeaderSize = 12;

/// The one question of a query, as stub resolvers send it.
struct Query {
  std::string name;  ///< in lower case, without the final dot; empty: the root
  std::uint16_t type = 0;
  std::uint16_t record_class = 0;
  std::size_t question_end = 0;  ///< where the question ends within the message
  bool edns = false;             ///< it has an OPT record (RFC 6891)
  bool dnssec_ok = false;        ///< whose DO bit is set (RFC 3225)

  bool asks_for(Type wanted) const {
    return record_class == kClassInternet && type == static_cast<std::uint16_t>(wanted);
  }
};

/// Reads a whole query: opcode QUERY, one question whose labels have letters, digits, hyphens and
/// underscores only, and nothing else but one OPT record.
/// Errors: Errc::bad_message for all others, which a name server may understand all the same.
Result<Query> parse_query(ByteView message);

/// The response code of `message` if it answers a query that began with `id_bytes` (two bytes, as
/// they are in the message).
/// Errors: Errc::bad_message: too short, not a response, or to another query.
Result<Rcode> response_code(ByteView message, ByteView id_bytes);

/// An answer to `message`, which parse_query() has read as `query`: its question with `address`,
/// that lives a second, if it asks for A; with no record if it asks for anything else.
Bytes make_answer(ByteView message, const Query& query, const asio::ip::address_v4& address);

/// SERVFAIL to `message`, without a record.
Bytes make_failure(ByteView message, const Query& query);

}  // namespace hagring::dns
