// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/address.hpp>
#include <string_view>
#include <vector>

#include "userspace/dns/message.hpp"

/// Queries of our own for a name's addresses, and what comes back.
namespace hagring::dns {

/// A query for `name`'s records of `type` (RFC 1035, section 4.1), recursion desired; the ID is
/// random.
/// Errors: Errc::bad_message: a label is empty or longer than 63 bytes, or the name than 253.
Result<Bytes> make_query(std::string_view name, Type type);

struct AddressReply {
  Rcode rcode = Rcode::no_error;
  bool truncated = false;  ///< the whole of it goes by TCP only
  std::vector<asio::ip::address> addresses{};

  bool operator==(const AddressReply&) const = default;
};

/// Reads the reply to `query`, which make_query() has made: addresses of the type that was asked
/// for, of whatever names they are, since servers follow aliases (CNAME) by themselves. Errors:
/// Errc::bad_message: not a response, to another query, or cut short.
Result<AddressReply> read_addresses(ByteView reply, ByteView query);

}  // namespace hagring::dns
