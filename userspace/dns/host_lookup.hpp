// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "userspace/base/resolver.hpp"

namespace hagring::dns {

/// A blocking lookup, as a process makes it whose root directory is `root`: in its /etc/hosts, then
/// by the name servers and the search list of its /etc/resolv.conf, asked from where we are. For an
/// agent in a container, whose own files are the cluster's: registries are the host's to find. Both
/// files are read anew each time. IPv4 addresses come first; whoever dials races them.
///
/// Of nsswitch.conf nothing is known but `files dns`; systemd-resolved is asked as a name server.
/// `port` is the name servers'.
SystemResolver::Lookup host_lookup(std::string root, std::uint16_t port = 53);

/// The addresses of `name` in the text of a hosts(5) file, in order.
Resolver::Addresses find_in_hosts(std::string_view text, std::string_view name);

}  // namespace hagring::dns
