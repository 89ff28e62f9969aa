// SPDX-License-Identifier: Apache-2.0
#include "registry/reference.hpp"

#include <algorithm>
#include <boost/asio/ip/address_v6.hpp>

namespace hagring::registry {
namespace {

constexpr std::size_t kMaxName = 255;  // distribution/reference, NameTotalLengthMax
constexpr std::size_t kMaxTag = 128;   // OCI distribution-spec
constexpr std::size_t kMaxPortDigits = 5;
constexpr std::string_view kDockerHub = "docker.io";
constexpr std::string_view kDockerHubHost = "registry-1.docker.io";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_alphanumeric(char c) { return is_digit(c) || is_lower(c) || (c >= 'A' && c <= 'Z'); }

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
bool is_path_component(std::string_view text) {
  std::size_t at = 0;
  const auto skip_word = [&] {
    const auto begin = at;
    while (at < text.size() && (is_digit(text[at]) || is_lower(text[at]))) ++at;
    return at > begin;
  };
  while (skip_word()) {
    if (at == text.size()) return true;
    const auto begin = at;
    while (at < text.size() && text[at] == text[begin] && !is_digit(text[at]) &&
           !is_lower(text[at])) {
      ++at;
    }
    const auto length = at - begin;
    const char separator = text[begin];
    const bool fits =
        separator == '-' || (separator == '.' && length == 1) || (separator == '_' && length <= 2);
    if (!fits) return false;
  }
  return false;
}

/// `[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]`, and underscores as containerd allows them.
bool is_host_label(std::string_view text) {
  return !text.empty() && is_alphanumeric(text.front()) && is_alphanumeric(text.back()) &&
         std::ranges::all_of(text,
                             [](char c) { return is_alphanumeric(c) || c == '-' || c == '_'; });
}

bool is_host_name(std::string_view text) {
  while (true) {
    const auto dot = text.find('.');
    if (!is_host_label(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool is_ipv6(std::string_view text) {
  boost::system::error_code error;
  boost::asio::ip::make_address_v6(std::string(text), error);
  return !error;
}

/// Whether `text` is `:` and digits, or nothing.
bool is_port_part(std::string_view text) {
  if (text.empty()) return true;
  const auto digits = text.substr(1);
  return text.front() == ':' && !digits.empty() && digits.size() <= kMaxPortDigits &&
         std::ranges::all_of(digits, is_digit);
}

/// A name's first part is a registry only if it can't be a path's component
/// (distribution/reference, normalize.go, splitDockerDomain).
bool looks_like_registry(std::string_view text) {
  return text.find_first_of(".:") != std::string_view::npos || text == "localhost";
}

}  // namespace

bool is_repository(std::string_view text) {
  if (text.size() > kMaxName) return false;
  while (true) {
    const auto slash = text.find('/');
    if (!is_path_component(text.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

bool is_tag(std::string_view text) {
  if (text.empty() || text.size() > kMaxTag || text.front() == '.' || text.front() == '-') {
    return false;
  }
  return std::ranges::all_of(
      text, [](char c) { return is_alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

bool is_registry(std::string_view text) {
  if (text.size() > kMaxName) return false;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    return end != std::string_view::npos && is_ipv6(text.substr(1, end - 1)) &&
           is_port_part(text.substr(end + 1));
  }
  const auto colon = std::min(text.find(':'), text.size());
  return is_host_name(text.substr(0, colon)) && is_port_part(text.substr(colon));
}

std::string registry_of_host(std::string_view host) {
  std::string registry(host);
  std::ranges::transform(registry, registry.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  constexpr std::string_view kHttpsPort = ":443";
  if (registry.ends_with(kHttpsPort)) registry.resize(registry.size() - kHttpsPort.size());
  const bool is_hub = registry == kDockerHubHost || registry == "index.docker.io";
  return is_hub ? std::string(kDockerHub) : registry;
}

std::string host_of_registry(std::string_view registry) {
  return std::string(registry == kDockerHub ? kDockerHubHost : registry);
}

std::optional<Reference> Reference::parse(std::string_view text) {
  Reference reference;
  if (const auto at = text.find('@'); at != std::string_view::npos) {
    reference.digest = Digest::parse(text.substr(at + 1));
    if (!reference.digest) return std::nullopt;
    text = text.substr(0, at);
  }
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto registry = text.substr(0, slash);
  auto path = text.substr(slash + 1);
  if (const auto colon = path.find(':'); colon != std::string_view::npos) {
    if (!is_tag(path.substr(colon + 1))) return std::nullopt;
    reference.tag = path.substr(colon + 1);
    path = path.substr(0, colon);
  }
  if (!looks_like_registry(registry) || !is_registry(registry) || !is_repository(path)) {
    return std::nullopt;
  }
  reference.registry = registry;
  reference.repository = path;
  return reference;
}

std::optional<Reference> Reference::parse_familiar(std::string_view text) {
  const auto slash = text.find('/');
  std::string full(kDockerHub);
  if (slash == std::string_view::npos) {
    full.append("/library/").append(text);
  } else if (!looks_like_registry(text.substr(0, slash))) {
    full.append("/").append(text);
  } else {
    const auto registry = registry_of_host(text.substr(0, slash));
    const bool official = registry == kDockerHub && text.find('/', slash + 1) == text.npos;
    full = registry + (official ? "/library" : "") + std::string(text.substr(slash));
  }
  auto reference = parse(full);
  if (reference && !reference->tag && !reference->digest) reference->tag = "latest";
  return reference;
}

std::string Reference::name() const { return registry + "/" + repository; }

std::string Reference::to_string() const {
  auto text = name();
  if (tag) text += ":" + *tag;
  if (digest) text += "@" + digest->to_string();
  return text;
}

}  // namespace hagring::registry
