// SPDX-License-Identifier: Apache-2.0
#include "registry/challenge.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "userspace/http/grammar.hpp"

namespace hagring::registry {
namespace {

constexpr std::size_t kMaxChallenges = 16;
constexpr std::size_t kMaxParameters = 16;
constexpr std::size_t kMaxScopes = 8;

std::string lowered(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

/// A field's value while it is read.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  bool at(char c) const { return !rest_.empty() && rest_.front() == c; }
  bool at_space() const { return at(' ') || at('\t'); }
  std::string_view rest() const { return rest_; }
  void drop(std::size_t size) { rest_.remove_prefix(size); }

  void skip_spaces() {
    while (at_space()) drop(1);
  }
  /// Elements of a list may be empty (RFC 9110, section 5.6.1.2).
  void skip_commas() {
    while (at_space() || at(',')) drop(1);
  }

  std::string_view token() {
    std::size_t size = 0;
    while (size < rest_.size() && http::is_token(rest_.substr(size, 1))) ++size;
    return taken(size);
  }

  /// Up to the next space or comma.
  std::string_view word() { return taken(std::min(rest_.find_first_of(" \t,"), rest_.size())); }

  /// A quoted-string (RFC 9110, section 5.6.4), behind whose opening quote this stands.
  std::optional<std::string> quoted() {
    std::string value;
    while (!at_end()) {
      char c = rest_.front();
      drop(1);
      if (c == '"') return value;
      if (c == '\\') {
        if (at_end()) break;
        c = rest_.front();
        drop(1);
      }
      value += c;
    }
    return std::nullopt;
  }

 private:
  std::string_view taken(std::size_t size) {
    const auto text = rest_.substr(0, size);
    drop(size);
    return text;
  }

  std::string_view rest_;
};

/// Whether a parameter comes next, and not another challenge's scheme.
bool parameter_is_next(Reader reader) {
  if (reader.token().empty()) return false;
  reader.skip_spaces();
  return reader.at('=');
}

/// token68 (RFC 9110, section 11.2), which `=` may end but nothing may follow.
bool read_token68(Reader& reader, Challenge& challenge) {
  auto after = reader;
  const auto word = after.word();
  const auto padding = word.find_last_not_of('=') + 1;
  const auto is_part = [](char c) {
    return http::is_token(std::string_view(&c, 1)) ? c != '=' : c == '/';
  };
  if (padding == 0 || !std::ranges::all_of(word.substr(0, padding), is_part)) return false;
  after.skip_spaces();
  if (!after.at_end() && !after.at(',')) return false;
  challenge.token68 = word;
  reader = after;
  return true;
}

bool read_parameter(Reader& reader, Challenge& challenge) {
  auto name = lowered(reader.token());
  reader.skip_spaces();
  reader.drop(1);
  reader.skip_spaces();
  std::string value;
  if (reader.at('"')) {
    reader.drop(1);
    auto quoted = reader.quoted();
    if (!quoted) return false;
    value = *std::move(quoted);
  } else {
    value = reader.word();
  }
  reader.skip_spaces();
  if (!reader.at_end() && !reader.at(',')) return false;
  if (challenge.parameters.size() >= kMaxParameters) return false;
  challenge.parameters.emplace_back(std::move(name), std::move(value));
  return true;
}

std::optional<Challenge> read_challenge(Reader& reader) {
  Challenge challenge{.scheme = lowered(reader.token()), .token68 = {}, .parameters = {}};
  if (challenge.scheme.empty()) return std::nullopt;
  if (!reader.at_end() && !reader.at(',') && !reader.at_space()) return std::nullopt;
  reader.skip_spaces();
  if (reader.at_end() || reader.at(',')) return challenge;
  if (read_token68(reader, challenge)) return challenge;
  while (parameter_is_next(reader)) {
    if (!read_parameter(reader, challenge)) return std::nullopt;
    reader.skip_commas();
  }
  if (challenge.parameters.empty()) return std::nullopt;
  return challenge;
}

void add_parameter(std::string& target, std::string_view name, std::string_view value) {
  target += target.find('?') == std::string::npos ? '?' : '&';
  target.append(name).append("=");
  for (const char c : value) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    target += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
}

}  // namespace

std::string token_target(const TokenService& service) {
  auto target = service.realm.target;
  if (!service.service.empty()) add_parameter(target, "service", service.service);
  for (std::size_t i = 0; i < std::min(service.scopes.size(), kMaxScopes); ++i) {
    add_parameter(target, "scope", service.scopes[i]);
  }
  return target;
}

std::optional<std::string_view> Challenge::parameter(std::string_view name) const {
  for (const auto& [own, value] : parameters) {
    if (own == name) return value;
  }
  return std::nullopt;
}

std::vector<Challenge> parse_challenges(std::string_view field) {
  std::vector<Challenge> challenges;
  Reader reader(field);
  for (reader.skip_commas(); !reader.at_end() && challenges.size() < kMaxChallenges;
       reader.skip_commas()) {
    auto challenge = read_challenge(reader);
    if (!challenge) break;
    challenges.push_back(*std::move(challenge));
  }
  return challenges;
}

std::optional<TokenService> token_service_of(const http::Response& response) {
  for (const auto& [name, value] : response.headers) {
    if (!http::equals_ignoring_case(name, "WWW-Authenticate")) continue;
    for (const auto& challenge : parse_challenges(value)) {
      if (challenge.scheme != "bearer") continue;
      auto realm = http::parse_url(challenge.parameter("realm").value_or(""));
      if (!realm) continue;
      TokenService service{.realm = *std::move(realm),
                           .service = std::string(challenge.parameter("service").value_or("")),
                           .scopes = {}};
      for (const auto& [own, scope] : challenge.parameters) {
        if (own == "scope") service.scopes.push_back(scope);
      }
      return service;
    }
  }
  return std::nullopt;
}

}  // namespace hagring::registry
