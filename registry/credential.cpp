// SPDX-License-Identifier: Apache-2.0
#include "registry/credential.hpp"

#include <nlohmann/json.hpp>
#include <optional>

#include "userspace/http/grammar.hpp"

namespace hagring::registry {
namespace {

using nlohmann::json;

/// Tokens of registries have one or two KiB.
constexpr std::size_t kMaxClaims = 16UL * 1024;
constexpr int kMaxDepth = 16;

int value_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/// base64url without padding (RFC 7515, section 2).
std::optional<std::string> decoded(std::string_view text) {
  std::string result;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = value_of(c);
    if (value < 0) return std::nullopt;
    bits = (bits << 6 | static_cast<unsigned>(value)) & 0xffff;
    count += 6;
    if (count >= 8) {
      count -= 8;
      result += static_cast<char>(bits >> count & 0xff);
    }
  }
  return result;
}

/// The claims in the middle of header.claims.signature.
std::optional<std::string> claims_of(std::string_view token) {
  const auto first = token.find('.');
  const auto last = token.rfind('.');
  if (first == std::string_view::npos || last == first) return std::nullopt;
  const auto claims = token.substr(first + 1, last - first - 1);
  if (claims.size() > kMaxClaims || claims.find('.') != std::string_view::npos) return std::nullopt;
  return decoded(claims);
}

std::optional<std::string> owner_of_token(std::string_view token) {
  const auto text = claims_of(token);
  if (!text) return std::nullopt;
  const auto shallow = [](int depth, json::parse_event_t, json&) { return depth < kMaxDepth; };
  const auto claims = json::parse(*text, shallow, false);
  if (!claims.is_object()) return std::nullopt;
  const auto issuer = claims.find("iss");
  const auto subject = claims.find("sub");
  if (issuer == claims.end() || subject == claims.end()) return std::nullopt;
  if (!issuer->is_string() || !subject->is_string()) return std::nullopt;
  return "token of " + issuer->get<std::string>() + " for " + subject->get<std::string>();
}

}  // namespace

std::string owner_of_credential(std::string_view authorization) {
  constexpr std::string_view kBearer = "Bearer ";
  if (http::equals_ignoring_case(authorization.substr(0, kBearer.size()), kBearer)) {
    const auto owner = owner_of_token(http::trimmed(authorization.substr(kBearer.size())));
    if (owner) return *owner;
  }
  return std::string(authorization);
}

}  // namespace hagring::registry
