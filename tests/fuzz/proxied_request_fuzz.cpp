// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/require.hpp"
#include "userspace/egress/proxied_request.hpp"
#include "userspace/http/message_parser.hpp"

using hagring::as_text;
using hagring::ByteView;
using hagring::egress::ProxiedRequest;
using hagring::egress::ProxiedRequestReader;
using hagring::fuzz::require;
using Kind = ProxiedRequest::Kind;

namespace {

/// What the server is sent is one request for the host that was judged, on a connection of its own.
void check_for_server(const ProxiedRequestReader& reader) {
  const auto bytes = reader.for_server();
  const auto text = as_text(bytes);
  const auto end = text.find("\r\n\r\n");
  require(end != std::string_view::npos);
  const auto parsed = hagring::http::parse_request_head(text.substr(0, end + 4), 1000);
  require(parsed.has_value() && !parsed->message.keep_alive);
  require(parsed->message.target.starts_with('/'));
  require(!parsed->message.headers.contains("Proxy-Authorization"));
}

}  // namespace

/// What the reader says must not depend on where the bytes were cut, but for bytes behind a
/// CONNECT, and nothing may be lost.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  ProxiedRequestReader whole, cut;
  const auto& request = whole.feed(input);
  const auto at = size == 0 ? 0 : data[size - 1] * size / 256;
  cut.feed(input.first(at));
  cut.feed(input.subspan(at));
  require(whole.bytes().size() == size && cut.bytes().size() == size);
  require(cut.request().kind == request.kind || cut.request().kind == Kind::tunnel);
  if (request.kind == Kind::plain || request.kind == Kind::tunnel) {
    require(!request.host.empty() && request.port != 0);
    require(cut.request().host == request.host && cut.request().port == request.port);
  }
  if (request.kind == Kind::plain) check_for_server(whole);
  return 0;
}
