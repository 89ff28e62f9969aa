// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/base/result.hpp"

namespace hagring::redirect {

/// Why a client can't be redirected. What passes by itself (a cgroup that goes) and what needs a
/// person (a foreign program in the way) are told apart by code; the messages say what to do.
enum class Errc {
  not_cgroup2 = 1,   ///< the path is not a cgroup v2 directory
  cgroup_gone,       ///< the cgroup was removed
  attach_refused,    ///< a program attached there, or above, allows no other beside it
  not_permitted,     ///< a capability is missing
  no_cgroup2_mount,  ///< no mount shows the cgroup hierarchy from its root
  not_in_cgroup,     ///< the process is not where /proc says it is
  no_host_pids,      ///< the kernel can't tell us the pid: another pid namespace
  not_loopback,      ///< a mirror listener that is bound to no single address
  agent_in_cgroup,   ///< the agent itself would be redirected
  no_socket,         ///< nobody knows yet where the client listens
};

const boost::system::error_category& redirect_category() noexcept;

inline error_code make_error_code(Errc code) noexcept {
  return {static_cast<int>(code), redirect_category()};
}

}  // namespace hagring::redirect

template <>
struct boost::system::is_error_code_enum<hagring::redirect::Errc> : std::true_type {};
