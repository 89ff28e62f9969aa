// SPDX-License-Identifier: Apache-2.0
#include "userspace/egress/no_proxy.hpp"

#include <algorithm>

namespace hagring::egress {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

/// As Go's strings.TrimSpace, for ASCII.
std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n\v\f";
  const auto begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

std::optional<asio::ip::address> parse_address(std::string_view text) {
  error_code failed;
  const auto address = asio::ip::make_address(std::string(text), failed);
  if (failed) return std::nullopt;
  return unmapped(address);
}

struct HostPort {
  std::string_view host;
  std::string_view port;
};

/// Go's net.SplitHostPort; nullopt where that fails, as it does without a colon, or with several
/// and no brackets.
std::optional<HostPort> split(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto host = text.substr(0, colon);
  if (host.starts_with('[')) {
    if (host.find(']') != host.size() - 1) return std::nullopt;
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;
  }
  if (host.find_first_of("[]") != std::string_view::npos) return std::nullopt;
  return HostPort{host, text.substr(colon + 1)};
}

}  // namespace

NoProxy::NoProxy(std::string_view list) {
  for (std::size_t begin = 0; begin <= list.size() && !all_;) {
    const auto end = std::min(list.find(',', begin), list.size());
    add(lower(trimmed(list.substr(begin, end - begin))));
    begin = end + 1;
  }
}

void NoProxy::add(std::string_view entry) {
  if (entry.empty()) return;
  if (entry == "*") {
    all_ = true;
    return;
  }
  if (entry.find('/') != std::string_view::npos) {
    // What is no range is a name to Go, one that no host has.
    if (const auto range = parse_prefix(entry)) addresses_.push_back({*range});
    return;
  }
  const auto parts = split(entry);
  auto host = parts ? parts->host : entry;
  const std::string port(parts ? parts->port : "");
  if (host.empty()) return;
  if (const auto address = parse_address(host)) {
    addresses_.push_back({prefix_of(*address, address->is_v4() ? 32 : 128), port});
    return;
  }
  if (host.starts_with("*.")) host.remove_prefix(1);
  const bool itself = !host.starts_with('.');
  domains_.push_back({(itself ? "." : "") + std::string(host), itself, port});
}

bool NoProxy::exempts(std::string_view host, std::uint16_t port) const {
  if (host == "localhost") return true;
  const auto address = parse_address(host);
  if (all_ || (address && address->is_loopback())) return true;
  const auto number = std::to_string(port);
  const auto fits = [&](const std::string& wanted) { return wanted.empty() || wanted == number; };
  if (address && std::ranges::any_of(addresses_, [&](const Address& known) {
        return known.range.contains(*address) && fits(known.port);
      })) {
    return true;
  }
  const auto name = lower(trimmed(host));
  return std::ranges::any_of(domains_, [&](const Domain& domain) {
    const auto& suffix = domain.suffix;
    const bool below = name.ends_with(suffix);
    return (below || (domain.itself && name == suffix.substr(1))) && fits(domain.port);
  });
}

}  // namespace hagring::egress
