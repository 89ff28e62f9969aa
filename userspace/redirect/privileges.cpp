// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/privileges.hpp"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>

#include "userspace/base/result.hpp"

namespace hagring::redirect {

void require_bpf_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return;  // then loading will tell
  const std::uint64_t effective = std::uint64_t{sets[1].effective} << 32 | sets[0].effective;
  const auto has = [effective](unsigned capability) { return effective >> capability & 1; };

  if (has(CAP_SYS_ADMIN)) return;
  std::string missing;
  if (!has(CAP_BPF)) missing = "CAP_BPF";
  if (!has(CAP_NET_ADMIN)) missing += missing.empty() ? "CAP_NET_ADMIN" : " and CAP_NET_ADMIN";
  if (missing.empty()) return;
  throw StartError("the connect hook needs CAP_BPF and CAP_NET_ADMIN; missing: " + missing +
                   ". Run as root, or add them (systemd: AmbientCapabilities=; Kubernetes: "
                   "securityContext.capabilities.add: [BPF, NET_ADMIN])");
}

}  // namespace hagring::redirect
