// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/asio.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"

namespace hagring::dns {

/// What a resolv.conf(5) says of whom a process asks, and for how long.
struct ResolvConf {
  std::vector<asio::ip::address> name_servers;  ///< in order, each once
  Duration timeout{};                           ///< of one attempt at one server
  std::vector<std::string> search{};            ///< domains that are tried behind a name
  int ndots = 1;  ///< a name with that many dots is tried first as it is

  bool operator==(const ResolvConf&) const = default;
};

/// Reads the file's text as glibc and Go do: lines that can't be read are skipped, of the servers
/// the first three count, and without any 127.0.0.1 and ::1 are asked (Go: both; glibc: the first).
ResolvConf parse_resolv_conf(std::string_view text);

/// The text of `root`'s /etc/resolv.conf, links followed as a process sees them whose root `root`
/// is; empty where there is no such file.
/// Errors: Errc::too_large, or the system's.
Result<std::string> read_resolv_conf(const std::string& root);

/// The same of `root`'s /etc/`name`, which is too large beyond `limit` bytes.
Result<std::string> read_etc_file(const std::string& root, const std::string& name,
                                  std::size_t limit);

}  // namespace hagring::dns
