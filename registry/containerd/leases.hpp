// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "registry/containerd/rpc_error.hpp"
#include "registry/digest.hpp"
#include "userspace/base/asio.hpp"

namespace hagring::containerd {

/// A lease: while it lives, the garbage collector leaves its resources alone.
struct Lease {
  std::string id;
  std::map<std::string, std::string> labels{};  ///< can't be changed later
};

/// containerd's leases of one namespace. Errors: those of Client's calls; Errc::not_found for a
/// lease that isn't there.
class LeasesApi {
 public:
  virtual ~LeasesApi() = default;

  /// Those whose id begins with `prefix`.
  virtual awaitable<RpcResult<std::vector<Lease>>> list(std::string prefix) = 0;
  virtual awaitable<RpcResult<void>> create(Lease lease) = 0;
  /// With `collect` it returns when what nobody else holds has been collected.
  virtual awaitable<RpcResult<void>> remove(std::string id, bool collect) = 0;
  /// Adds a blob, which needn't be there yet.
  virtual awaitable<RpcResult<void>> add(std::string id, registry::Digest blob) = 0;
  /// The blobs of a lease, there or not.
  virtual awaitable<RpcResult<std::vector<registry::Digest>>> blobs(std::string id) = 0;
};

}  // namespace hagring::containerd
