// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "registry/containerd/kept_layers.hpp"
#include "registry/containerd/leases.hpp"

namespace hagring::containerd {

/// All leases of ours begin so, whichever agent made them.
inline constexpr std::string_view kLeasePrefix = "hagring-";

/// Those of one agent: `hagring-<owner>-`.
std::string lease_prefix(std::string_view owner);

/// RFC 3339 in UTC, to the second, as containerd reads `containerd.io/gc.expire`.
std::string rfc3339(WallTime time);
/// nullopt for anything but what rfc3339() writes.
std::optional<WallTime> parse_rfc3339(std::string_view text);

/// `hagring-<owner>-sha256-<hex>-<milliseconds>`: what it is for, and when it was made, since a
/// lease's labels can't be changed and the next one for the same manifest lives beside it for a
/// moment.
std::string lease_id(std::string_view owner, const registry::Digest& manifest, WallTime served);

/// The lease that keeps `image`. containerd itself drops it at its first collection after
/// `expires`, so that nothing stays for ever on a node whose agent never comes back.
Lease make_lease(const KeptImage& image, WallTime expires);

/// What a lease of ours says; layers are not in it. nullopt when its labels make no sense.
std::optional<KeptImage> read_lease(const Lease& lease);
/// Until when containerd keeps it.
std::optional<WallTime> expiry_of(const Lease& lease);

}  // namespace hagring::containerd
