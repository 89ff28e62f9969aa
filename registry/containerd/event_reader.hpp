// SPDX-License-Identifier: Apache-2.0
// Includes gRPC's headers: only .cpp files of this folder include this.
#pragma once

#include <memory>
#include <string>

#include "registry/containerd/client.hpp"
#include "registry/containerd/proto/events.grpc.pb.h"
#include "registry/containerd/rpc.hpp"

namespace hagring::containerd {

/// Subscribes to the events of `name_space` that change what can be served.
std::unique_ptr<EventStream> read_events(::containerd::services::events::v1::Events::Stub& stub,
                                         RpcQueue& queue, const std::string& name_space);

/// What `envelope` says; nullopt for other namespaces, other topics and malformed payloads.
std::optional<Event> to_event(const ::containerd::services::events::v1::Envelope& envelope,
                              const std::string& name_space);

}  // namespace hagring::containerd
