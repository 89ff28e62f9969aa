// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/rpc_error.hpp"

namespace hagring::containerd {

std::string RpcError::to_string() const {
  if (status.empty()) return text.empty() ? code.message() : text;
  return text.empty() ? status : status + ": " + text;
}

}  // namespace hagring::containerd
