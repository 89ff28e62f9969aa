// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "dht/mesh_key.hpp"
#include "dht/node.hpp"
#include "userspace/agent/config.hpp"

namespace hagring::agent {

/// What the mesh's settings say. Each throws StartError naming the setting that makes no sense.
dht::BootstrapOptions bootstrap_options(const Config& config);
/// Whether a node's claim may make us connect to an address.
std::function<bool(const asio::ip::address&)> peer_ranges(const Config& config);
/// Throws for settings that contradict each other, too.
void check_mesh(const Config& config);

/// Where the host key is kept.
std::filesystem::path identity_file(const Config& config);

/// The mesh's key, made where there is none; nullopt with --spegel-compat. Throws StartError.
std::optional<dht::MeshKey> load_mesh_key(const Config& config);

/// All of them, with the mesh's key; without it (Spegel's meshes) the network is open.
dht::NodeOptions node_options(const Config& config, std::optional<dht::MeshKey> mesh_key,
                              PortSharing sharing);

}  // namespace hagring::agent
