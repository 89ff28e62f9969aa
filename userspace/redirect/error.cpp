// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/error.hpp"

namespace hagring::redirect {
namespace {

class RedirectCategory : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "hagring.redirect"; }

  std::string message(int value) const override {
    switch (static_cast<Errc>(value)) {
      case Errc::not_cgroup2:
        return "not a cgroup v2 directory; is /sys/fs/cgroup of the host mounted here?";
      case Errc::cgroup_gone:
        return "the cgroup was removed; its process must have moved or ended";
      case Errc::attach_refused:
        return "another BPF program on this cgroup or above was attached without "
               "BPF_F_ALLOW_MULTI (Cilium before 1.14 does so): see bpftool cgroup tree";
      case Errc::not_permitted:
        return "not permitted; needs CAP_BPF and CAP_NET_ADMIN";
      case Errc::no_cgroup2_mount:
        return "no mount of cgroup2 shows the whole hierarchy; mount the host's /sys/fs/cgroup "
               "into the agent's container";
      case Errc::not_in_cgroup:
        return "the process is not in the cgroup that /proc names; is a cgroup namespace in the "
               "way? Mount the host's /sys/fs/cgroup";
      case Errc::no_host_pids:
        return "the kernel shows no pid for the socket's owner; run the agent in the host's pid "
               "namespace (hostPID: true)";
      case Errc::not_loopback:
        return "the mirror must listen on one exact address, such as 127.0.0.1";
      case Errc::agent_in_cgroup:
        return "the agent is in the client's cgroup and can't tell its own connections from the "
               "client's; run it in the host's pid namespace or in a cgroup of its own";
      case Errc::no_socket:
        return "its socket isn't there yet; it is looked for";
    }
    return "unknown error " + std::to_string(value);
  }
};

}  // namespace

const boost::system::error_category& redirect_category() noexcept {
  static const RedirectCategory category;
  return category;
}

}  // namespace hagring::redirect
