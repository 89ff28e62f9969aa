// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "userspace/base/result.hpp"

namespace hagring::containerd {

/// Why a call to containerd failed. Becomes a plain error code where a Result is returned.
struct RpcError {
  error_code code;       ///< of Errc
  std::string status{};  ///< gRPC's name for it, such as `NotFound`; empty if none came
  std::string text{};    ///< containerd's own words

  operator error_code() const { return code; }
  /// `NotFound: content sha256:…: not found`.
  std::string to_string() const;
};

template <typename T>
using RpcResult = boost::system::result<T, RpcError>;

}  // namespace hagring::containerd
