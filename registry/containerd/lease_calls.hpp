// SPDX-License-Identifier: Apache-2.0
// Includes gRPC's headers: only .cpp files of this folder include this.
#pragma once

#include <memory>
#include <string>

#include "registry/containerd/leases.hpp"
#include "registry/containerd/proto/leases.grpc.pb.h"
#include "registry/containerd/rpc.hpp"

namespace hagring::containerd {

/// Calls by way of a stub and a queue that both outlive it.
std::unique_ptr<LeasesApi> call_leases(::containerd::services::leases::v1::Leases::Stub& stub,
                                       RpcQueue& queue, std::string name_space);

}  // namespace hagring::containerd
