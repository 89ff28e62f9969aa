// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "registry/containerd/store.hpp"
#include "registry/content_router.hpp"
#include "registry/policy.hpp"
#include "userspace/agent/config.hpp"
#include "userspace/agent/name_keeper.hpp"
#include "userspace/agent/runtime_restart.hpp"
#include "userspace/base/resolver.hpp"
#include "userspace/base/tls_context.hpp"
#include "userspace/proxy/authorities.hpp"
#include "userspace/proxy/trust_store.hpp"
#include "userspace/redirect/redirector.hpp"

/// What each part is given at start, made from the configuration. All throw StartError for values
/// that only turn out to be wrong here, naming the setting.
namespace hagring::agent {

/// Where the host's file system is mounted; empty where its root is our own.
std::string mounted_root(const Config& config);

registry::Policy make_policy(const Config& config);
redirect::RedirectorOptions redirector_options(const Config& config,
                                               const registry::Policy& policy);
/// How registries' names are looked up: as the host does it. Where its root is mounted, our own
/// resolv.conf is a cluster's, by which other nodes are found.
SystemResolver::Lookup registry_lookup(const Config& config);
/// What --exclude names. Throws StartError.
std::vector<Prefix> excluded_ranges(const Config& config);
proxy::CertificateAuthorityOptions authority_options(const Config& config,
                                                     const registry::Policy& policy);
RuntimeRestart::Options restart_options(const Config& config);
NameKeeper::Options name_options(const Config& config);
/// `redirector` outlives them.
NameKeeper::Hooks name_hooks(redirect::Redirector& redirector);
containerd::FollowerOptions store_options(const Config& config);
containerd::LayerKeeperOptions layer_options(const Config& config);
/// Agents of one machine share its certificate directory: by their state directories their files
/// there have different names.
proxy::TrustStoreOptions trust_store_options(const Config& config);
/// The roots that origins are verified against, without the node's own CA among them.
CertificateStore load_origin_roots(const Config& config);

}  // namespace hagring::agent
