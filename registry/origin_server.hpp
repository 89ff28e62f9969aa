// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "registry/upstream.hpp"

namespace hagring::registry {

/// A server as its state is remembered: all addresses of a name together.
struct OriginServer {
  std::string host;  ///< a name, or an address as text
  std::uint16_t port = 443;
  bool tls = true;

  static OriginServer of(const Upstream& upstream);
  /// `registry-1.docker.io:443`.
  std::string to_string() const;
  auto operator<=>(const OriginServer&) const = default;
};

/// Why an origin was not asked. Whoever gets one of these and finds nobody else who has the answer
/// asks again as a last resort.
enum class OriginErrc {
  down = 1,  ///< it has not answered lately and is being probed
  limited,   ///< it has said that it answers this client no more for a while
};

const boost::system::error_category& origin_category() noexcept;

inline error_code make_error_code(OriginErrc code) noexcept {
  return {static_cast<int>(code), origin_category()};
}

/// Whether `error` means that the origin wasn't asked, although it may answer.
inline bool was_spared(const error_code& error) noexcept {
  return error.category() == origin_category();
}

}  // namespace hagring::registry

template <>
struct boost::system::is_error_code_enum<hagring::registry::OriginErrc> : std::true_type {};
