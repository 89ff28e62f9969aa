// SPDX-License-Identifier: Apache-2.0
#include "userspace/egress/proxied_request.hpp"

#include <algorithm>

#include "userspace/http/grammar.hpp"
#include "userspace/http/head_writer.hpp"
#include "userspace/http/message_parser.hpp"
#include "userspace/http/url.hpp"

namespace hagring::egress {
namespace {

using Kind = ProxiedRequest::Kind;

constexpr std::size_t kMaxFields = 128;
/// Longer than any method that a registry's client uses.
constexpr std::size_t kMaxMethod = 16;

ProxiedRequest other() { return {.kind = Kind::other, .host = {}}; }

/// `host:port` as a URL's authority, with the port written out (RFC 9112, section 3.2.3).
ProxiedRequest read_tunnel(const http::Request& request) {
  const auto& target = request.target;
  const auto colon = target.rfind(':');
  const bool has_port = colon != std::string::npos && colon + 1 < target.size();
  const bool authority_only = target.find_first_of("/?#@") == std::string::npos;
  const bool same_host =
      http::equals_ignoring_case(request.headers.get("Host").value_or(""), target);
  const auto url = http::parse_url("https://" + target);
  if (!has_port || !authority_only || !same_host || !url) return other();
  return {Kind::tunnel, url->host, url->port};
}

}  // namespace

const ProxiedRequest& ProxiedRequestReader::feed(ByteView bytes) {
  bytes_ += as_text(bytes);
  if (request_.kind != Kind::need_more) return request_;
  const auto visible = std::string_view(bytes_).substr(0, kMaxHead);
  const auto length = scanner_.scan(visible);
  if (!length || !may_be_http()) {
    request_ = other();
  } else if (*length) {
    request_ = read(**length);
  } else if (visible.size() == kMaxHead) {
    request_ = other();
  }
  return request_;
}

/// Whoever speaks another protocol may wait for an answer long before the end of a head.
bool ProxiedRequestReader::may_be_http() const {
  const auto method = std::string_view(bytes_).substr(0, bytes_.find(' '));
  return method.size() <= kMaxMethod &&
         std::ranges::all_of(method, [](char c) { return c >= 'A' && c <= 'Z'; });
}

ProxiedRequest ProxiedRequestReader::read(std::size_t head_length) {
  head_length_ = head_length;
  auto parsed =
      http::parse_request_head(std::string_view(bytes_).substr(0, head_length), kMaxFields);
  if (!parsed || parsed->message.version_minor != 1) return other();
  auto& request = parsed->message;
  if (request.method == "CONNECT") {
    const bool alone = !parsed->has_body && head_length == bytes_.size();
    return alone ? read_tunnel(request) : other();
  }
  const auto url = http::parse_url(request.target);
  if (!url || url->scheme != "http" || request.headers.contains("Upgrade")) return other();
  const auto host = request.headers.get("Host").value_or("");
  const auto named = http::parse_url("http://" + std::string(host));
  if (!named || named->host != url->host || named->port != url->port) return other();
  request.target = url->target;
  request.keep_alive = false;
  request.headers.erase("Proxy-Authorization");
  auto head = http::request_head(request);
  if (!head) return other();
  server_head_ = *std::move(head);
  return {Kind::plain, url->host, url->port};
}

Bytes ProxiedRequestReader::for_server() const {
  const auto text = server_head_ + bytes_.substr(head_length_);
  return Bytes(text.begin(), text.end());
}

}  // namespace hagring::egress
