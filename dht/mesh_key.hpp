// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "dht/net/pnet.hpp"

namespace hagring::dht {

/// What all members of a mesh hold and nobody else: the pre-shared key of the DHT's private network
/// and, on the peer port, the proof of membership.
using MeshKey = NetworkKey;

/// Reads the key from `path`: the text of a swarm.key file, or 64 hexadecimal digits. Links are
/// followed, since a Secret that Kubernetes mounts is one; its group may read it (`fsGroup`). Where
/// there is no file, makes a key and writes it in swarm.key's form, mode 0600, in one step. Throws
/// StartError if the file can't be read or written, isn't such a key, or is open to others than its
/// owner and group.
MeshKey load_or_create_mesh_key(const std::filesystem::path& path);

/// The same where the file must be there. Throws StartError if it isn't, too: a name that is
/// wrongly written must not make a mesh of its own.
MeshKey load_mesh_key(const std::filesystem::path& path);

}  // namespace hagring::dht
