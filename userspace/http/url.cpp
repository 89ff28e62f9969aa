// SPDX-License-Identifier: Apache-2.0
#include "userspace/http/url.hpp"

#include <algorithm>
#include <boost/asio/ip/address_v6.hpp>
#include <charconv>

#include "userspace/http/grammar.hpp"

namespace hagring::http {
namespace {

/// Far above the signed queries of content delivery networks (2-3 KiB), and within a head's limit.
constexpr std::size_t kMaxUrl = 16 * 1024;
/// RFC 1035, section 2.3.4.
constexpr std::size_t kMaxHost = 255;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_host_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '.' || c == '-' || c == '_';
}

std::uint16_t default_port(std::string_view scheme) { return scheme == "https" ? 443 : 80; }

Result<std::uint16_t> parse_port(std::string_view text, std::uint16_t otherwise) {
  if (text.empty()) return otherwise;
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) {
    return Errc::bad_message;
  }
  return port;
}

/// Reads `host[:port]` into `url`.
Result<void> parse_authority(std::string_view authority, Url& url) {
  std::string_view port;
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    if (end == std::string_view::npos) return Errc::bad_message;
    url.host = std::string(authority.substr(1, end - 1));
    error_code error;
    boost::asio::ip::make_address_v6(url.host, error);
    if (error) return Errc::bad_message;
    port = authority.substr(end + 1);
    if (!port.empty() && !port.starts_with(':')) return Errc::bad_message;
    if (!port.empty()) port.remove_prefix(1);
  } else {
    const auto colon = authority.find(':');
    url.host = lower(authority.substr(0, colon));
    // User information has an `@`, which is refused here: a credential that nobody meant to send.
    if (url.host.empty() || url.host.size() > kMaxHost ||
        !std::ranges::all_of(url.host, is_host_character)) {
      return Errc::bad_message;
    }
    if (colon != std::string_view::npos) port = authority.substr(colon + 1);
  }
  TRY(url.port, parse_port(port, default_port(url.scheme)));
  return Result<void>();
}

bool escapes_are_well_formed(std::string_view text) {
  for (auto at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 1)) {
    if (at + 2 >= text.size() || hex_value(text[at + 1]) < 0 || hex_value(text[at + 2]) < 0) {
      return false;
    }
  }
  return true;
}

/// RFC 3986, section 5.2.4.
std::string without_dot_segments(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const auto end = path.find('/', 1);
    const auto segment = path.substr(0, end);
    const bool last = end == std::string_view::npos;
    path.remove_prefix(segment.size());
    if (segment == "/." || segment == "/..") {
      if (segment == "/..") out.erase(std::min(out.rfind('/'), out.size()));
      if (last) out += '/';
    } else {
      out += segment;
    }
  }
  return out;
}

/// Everything of `path` up to its last slash.
std::string_view directory(std::string_view path) { return path.substr(0, path.rfind('/') + 1); }

}  // namespace

std::string Url::authority() const {
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != default_port(scheme)) text += ":" + std::to_string(port);
  return text;
}

std::string Url::to_string() const { return scheme + "://" + authority() + target; }

Result<Url> parse_url(std::string_view text) {
  if (text.size() > kMaxUrl) return Errc::too_large;
  text = text.substr(0, text.find('#'));
  const auto colon = text.find("://");
  if (!is_target(text) || colon == std::string_view::npos) return Errc::bad_message;
  Url url;
  url.scheme = lower(text.substr(0, colon));
  if (url.scheme != "http" && url.scheme != "https") return Errc::bad_message;
  const auto rest = text.substr(colon + 3);
  const auto end = std::min(rest.find_first_of("/?"), rest.size());
  CHECK_OK(parse_authority(rest.substr(0, end), url));
  url.target = rest.substr(end);
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  if (!escapes_are_well_formed(url.target)) return Errc::bad_message;
  return url;
}

Result<Url> resolve_url(const Url& base, std::string_view reference) {
  if (reference.size() > kMaxUrl) return Errc::too_large;
  reference = reference.substr(0, reference.find('#'));
  if (reference.starts_with("//")) return parse_url(base.scheme + ":" + std::string(reference));
  const auto colon = reference.find(':');
  if (colon < reference.find_first_of("/?")) return parse_url(reference);
  if (!reference.empty() && !is_target(reference)) return Errc::bad_message;
  TRY(const auto base_parts, split_target(base.target));
  const auto question = std::min(reference.find('?'), reference.size());
  const auto path = reference.substr(0, question);
  const auto query = reference.substr(question);
  Url url = base;
  if (path.starts_with('/')) {
    url.target = without_dot_segments(path);
  } else if (!path.empty()) {
    url.target = without_dot_segments(std::string(directory(base_parts.path)) + std::string(path));
  } else if (!query.empty()) {
    url.target = base_parts.path;
  }
  url.target += query;
  if (!escapes_are_well_formed(url.target)) return Errc::bad_message;
  return url;
}

Result<TargetParts> split_target(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!equals_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
    target = target.substr(std::min(target.find('/', scheme.size()), target.size()));
  }
  const bool plain = is_target(target) && target.find('#') == std::string_view::npos;
  if (!plain || !target.starts_with('/') || !escapes_are_well_formed(target)) {
    return Errc::bad_message;
  }
  const auto question = target.find('?');
  TargetParts parts{target.substr(0, question), {}};
  if (question != std::string_view::npos) parts.query = target.substr(question + 1);
  return parts;
}

Result<std::string> percent_decoded(std::string_view text) {
  if (!escapes_are_well_formed(text)) return Errc::bad_message;
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int byte = hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]);
    if (byte < 0x20 || byte == 0x7f) return Errc::bad_message;
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    const auto equals = pair.find('=');
    if (pair.substr(0, equals) != name) continue;
    auto value = percent_decoded(equals == std::string_view::npos ? "" : pair.substr(equals + 1));
    if (!value) return std::nullopt;
    return std::move(*value);
  }
  return std::nullopt;
}

}  // namespace hagring::http
