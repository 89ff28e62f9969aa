// SPDX-License-Identifier: Apache-2.0
// What a client sends to the stub, what a name server answers, a resolv.conf and a hosts file.
#include <algorithm>

#include "tests/fuzz/require.hpp"
#include "userspace/dns/address_query.hpp"
#include "userspace/dns/host_lookup.hpp"
#include "userspace/dns/message.hpp"
#include "userspace/dns/resolv_conf.hpp"
#include "userspace/dns/stub.hpp"

namespace {

using hagring::ByteView;
using hagring::fuzz::require;
namespace dns = hagring::dns;

/// Whether `reply` repeats the question of `message` and is a whole message.
void check_reply(ByteView message, const dns::Query& query, hagring::Bytes reply,
                 dns::Rcode wanted) {
  const auto code = dns::response_code(reply, message);
  require(code && *code == wanted);
  require(reply.size() >= query.question_end);
  require(std::equal(message.begin() + dns::kHeaderSize,
                     message.begin() + static_cast<std::ptrdiff_t>(query.question_end),
                     reply.begin() + dns::kHeaderSize));
  const bool has_address = reply[7] == 1;
  if (has_address) {
    const auto record = reply.begin() + static_cast<std::ptrdiff_t>(query.question_end);
    reply.erase(record, record + 16);
  }
  // What is left is the query again, but for its options' content.
  reply[2] &= 0x7f;
  reply[7] = 0;
  const auto again = dns::parse_query(reply);
  require(again && again->name == query.name && again->edns == query.edns &&
          again->dnssec_ok == query.dnssec_ok);
}

/// `message` as a reply, to a query that has its ID and its question if it has a plain one.
void check_addresses(ByteView message) {
  auto query = *dns::make_query("ghcr.io", dns::Type::a);
  if (message.size() >= 2) std::copy_n(message.begin(), 2, query.begin());
  const auto read = dns::read_addresses(message, query);
  require(!read || read->addresses.size() * 16 <= message.size());
  dns::find_in_hosts(hagring::as_text(message), "ghcr.io");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView message(data, size);
  if (const auto query = dns::parse_query(message)) {
    require(query->question_end >= dns::kHeaderSize + 5 && query->question_end <= size);
    require(query->name.size() <= 253 && !query->name.ends_with('.'));
    require(std::none_of(query->name.begin(), query->name.end(),
                         [](char c) { return c >= 'A' && c <= 'Z'; }));
    check_reply(message, *query, dns::make_answer(message, *query, dns::kInventedAddress),
                dns::Rcode::no_error);
    check_reply(message, *query, dns::make_failure(message, *query), dns::Rcode::serv_fail);
  }
  dns::response_code(message, message);
  check_addresses(message);
  const auto conf = dns::parse_resolv_conf(hagring::as_text(message));
  require(!conf.name_servers.empty() && conf.name_servers.size() <= 3);
  require(conf.timeout >= std::chrono::seconds(1) && conf.timeout <= std::chrono::seconds(30));
  return 0;
}
