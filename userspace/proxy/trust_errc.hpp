// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/base/result.hpp"

namespace hagring::proxy {

/// Why the CA could not be put where containerd finds it. Each means splice mode: pulls work as if
/// the agent were not there, and nothing is shared.
enum class TrustErrc {
  no_directory = 1,  ///< the host has no certificate directory that Go reads
  read_only,         ///< it is on a read-only file system
  not_permitted,     ///< the agent may not write there
  not_ours,          ///< a file of that name is there and isn't ours
};

const boost::system::error_category& trust_category() noexcept;

inline error_code make_error_code(TrustErrc code) noexcept {
  return {static_cast<int>(code), trust_category()};
}

/// What the system says about writing, in these words where there is one; else as it is.
error_code as_trust_error(const error_code& error);

}  // namespace hagring::proxy

template <>
struct boost::system::is_error_code_enum<hagring::proxy::TrustErrc> : std::true_type {};
