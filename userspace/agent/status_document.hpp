// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "dht/node.hpp"
#include "registry/breaker.hpp"
#include "registry/conduct.hpp"
#include "registry/containerd/store.hpp"
#include "registry/herd/herds.hpp"
#include "registry/peer_server.hpp"
#include "registry/policy.hpp"
#include "registry/privacy.hpp"
#include "registry/pull_record.hpp"
#include "registry/pulls_under_way.hpp"
#include "registry/rate_limits.hpp"
#include "userspace/agent/egress_keeper.hpp"
#include "userspace/agent/node_trust.hpp"
#include "userspace/dns/stub.hpp"
#include "userspace/proxy/listener.hpp"
#include "userspace/proxy/session.hpp"
#include "userspace/redirect/interception.hpp"

namespace hagring::agent {

/// What may be kept of layers that the runtime throws away, as it was set.
struct LayerLimits {
  std::string mode;
  std::uint64_t budget = 0;        ///< bytes
  std::uint64_t disk_percent = 0;  ///< of the image file system
};

/// What `hagring status` tells of, at the moment of asking.
struct StatusSources {
  Duration uptime{0};
  const proxy::Listener& listener;
  const proxy::SessionCounters& sessions;
  const NodeTrust& trust;
  std::string restart;  ///< RuntimeRestart::text()
  const redirect::Interception& interception;
  const redirect::Redirector& redirector;
  const egress::Egress& egress;
  const EgressKeeper& egress_keeper;
  const dns::Stub& names;
  const containerd::ContainerdStore& store;
  LayerLimits layer_limits;
  const registry::PeerServer& peer_server;
  dht::NodeStatus mesh;
  const registry::Conduct& conduct;
  const registry::Breaker& breaker;
  const registry::RateLimits& limits;
  const registry::PullRecord& record;
  const registry::PullsUnderWay& under_way;
  const registry::Policy& policy;
  const registry::Privacy& privacy;
  const herd::Herds* herds = nullptr;  ///< null: nothing is shared while it comes
};

/// The status as JSON. Called on the control thread.
std::string make_status(const StatusSources& sources);

}  // namespace hagring::agent
