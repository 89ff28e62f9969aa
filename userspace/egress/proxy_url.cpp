// SPDX-License-Identifier: Apache-2.0
#include "userspace/egress/proxy_url.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <boost/asio/ip/address_v6.hpp>
#include <charconv>

#include "userspace/http/url.hpp"

namespace hagring::egress {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_scheme(std::string_view text) {
  return !text.empty() && is_letter(text[0]) && std::ranges::all_of(text, [](char c) {
    return is_letter(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
  });
}

bool is_host_character(char c) {
  return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '_';
}

/// Go's net/url, validUserinfo.
bool is_user_information(std::string_view text) {
  constexpr std::string_view kOthers = "-._:~!$&'()*+,;=%@";
  return std::ranges::all_of(text, [&](char c) {
    return is_letter(c) || is_digit(c) || kOthers.find(c) != std::string_view::npos;
  });
}

/// Go's net/http, canonicalAddr; other schemes have no port of their own there.
std::uint16_t default_port(std::string_view scheme) {
  if (scheme == "https") return 443;
  if (scheme == "socks5" || scheme == "socks5h") return 1080;
  return 80;
}

std::string base64(std::string_view text) {
  std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');
  const auto size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                    reinterpret_cast<const unsigned char*>(text.data()),
                                    static_cast<int>(text.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

/// Go's net/http, connectMethod.proxyAuth.
Result<std::string> basic_authorization(std::string_view user_information) {
  if (!is_user_information(user_information)) return Errc::bad_message;
  const auto colon = user_information.find(':');
  TRY(auto credentials, http::percent_decoded(user_information.substr(0, colon)));
  credentials += ':';
  if (colon != std::string_view::npos) {
    TRY(const auto password, http::percent_decoded(user_information.substr(colon + 1)));
    credentials += password;
  }
  return "Basic " + base64(credentials);
}

Result<void> read_port(std::string_view text, Proxy& proxy) {
  if (text.empty()) return Result<void>();
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), proxy.port);
  if (failed != std::errc() || end != text.data() + text.size() || proxy.port == 0) {
    return Errc::bad_message;
  }
  return Result<void>();
}

Result<void> read_server(std::string_view server, Proxy& proxy) {
  std::string_view port;
  if (server.starts_with('[')) {
    const auto end = server.find(']');
    if (end == std::string_view::npos) return Errc::bad_message;
    proxy.host = lower(server.substr(1, end - 1));
    error_code failed;
    boost::asio::ip::make_address_v6(proxy.host, failed);
    port = server.substr(end + 1);
    if (failed || (!port.empty() && port[0] != ':')) return Errc::bad_message;
  } else {
    const auto colon = std::min(server.find(':'), server.size());
    proxy.host = lower(server.substr(0, colon));
    if (proxy.host.empty() || !std::ranges::all_of(proxy.host, is_host_character)) {
      return Errc::bad_message;
    }
    port = server.substr(colon);
  }
  if (!port.empty()) port.remove_prefix(1);
  return read_port(port, proxy);
}

Result<Proxy> parse_url(std::string_view text) {
  text = text.substr(0, text.find('#'));
  const auto end = text.find("://");
  if (end == std::string_view::npos || !is_scheme(text.substr(0, end))) return Errc::bad_message;
  Proxy proxy{.scheme = lower(text.substr(0, end)), .host = {}};
  proxy.port = default_port(proxy.scheme);
  auto server = text.substr(end + 3);
  server = server.substr(0, server.find_first_of("/?"));
  if (const auto at = server.rfind('@'); at != std::string_view::npos) {
    TRY(proxy.authorization, basic_authorization(server.substr(0, at)));
    server.remove_prefix(at + 1);
  }
  CHECK_OK(read_server(server, proxy));
  return proxy;
}

}  // namespace

std::string Proxy::shown() const {
  if (scheme.empty()) return "unreadable";
  const bool brackets = host.find(':') != std::string::npos;
  return scheme + "://" + (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Proxy> parse_proxy(std::string_view text) {
  const bool has_scheme = text.find("://") != std::string_view::npos;
  return parse_url(has_scheme ? std::string(text) : "http://" + std::string(text));
}

}  // namespace hagring::egress
