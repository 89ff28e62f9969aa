// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/base/result.hpp"

namespace hagring::egress {

/// Why an egress proxy, which itself was reached, made no tunnel.
enum class Errc {
  wants_credentials = 1,  ///< 407: none were sent, or wrong ones
  refused,                ///< another 4xx: its rules don't allow this host, port or client
  failed,                 ///< anything else, such as 502: it can't reach the host either
  unsupported_proxy,      ///< the environment names a kind of proxy that we don't speak to
};

const boost::system::error_category& egress_category() noexcept;

inline error_code make_error_code(Errc code) noexcept {
  return {static_cast<int>(code), egress_category()};
}

/// Whether `error` is the proxy's own no to whoever asks, which the client should be told by the
/// proxy itself.
bool is_refusal(const error_code& error) noexcept;

}  // namespace hagring::egress

template <>
struct boost::system::is_error_code_enum<hagring::egress::Errc> : std::true_type {};
