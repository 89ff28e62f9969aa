// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/base/result.hpp"

namespace hagring {

/// What we did ourselves.
enum class OwnErrc {
  cut_short = 1,  ///< less time was given than the other side may need
};

const boost::system::error_category& own_category() noexcept;

inline error_code make_error_code(OwnErrc code) noexcept {
  return {static_cast<int>(code), own_category()};
}

/// Whether `error` says nothing of the other side: it is this node that lacks something
/// (descriptors, memory, buffers, ports) or that didn't wait.
bool is_own_trouble(const error_code& error) noexcept;

}  // namespace hagring

template <>
struct boost::system::is_error_code_enum<hagring::OwnErrc> : std::true_type {};
