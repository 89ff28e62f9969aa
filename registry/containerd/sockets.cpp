// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/sockets.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>

#include "userspace/base/unique_fd.hpp"

namespace hagring::containerd {
namespace {

struct Place {
  const char* path;
  const char* flavour;
};

constexpr Place kPlaces[] = {
    // k3s, pkg/agent/containerd: <state>/containerd.sock; RKE2 runs k3s's agent.
    {"/run/k3s/containerd/containerd.sock", "K3s or RKE2"},
    // k0s, docs/runtime.md.
    {"/run/k0s/containerd.sock", "K0s"},
    // MicroK8s' snap, args/containerd: --address.
    {"/var/snap/microk8s/common/run/containerd.sock", "MicroK8s"},
    // containerd, defaults.DefaultAddress.
    {"/run/containerd/containerd.sock", "containerd"},
};

bool is_socket(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

}  // namespace

std::vector<FoundSocket> find_sockets(const std::string& host_root) {
  std::vector<FoundSocket> found;
  for (const auto& place : kPlaces) {
    auto path = host_root + place.path;
    if (is_socket(path)) found.push_back({.path = std::move(path), .flavour = place.flavour});
  }
  return found;
}

std::string searched_sockets() {
  std::string text;
  for (const auto& place : kPlaces) {
    if (!text.empty()) text += ", ";
    text += place.path;
  }
  return text;
}

Result<pid_t> listener_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return error_code(ENAMETOOLONG, boost::system::system_category());
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  // Not blocking: connect(2) would wait while the listener's backlog is full.
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return last_system_error();
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return last_system_error();
  }
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return last_system_error();
  }
  return credentials.pid;
}

}  // namespace hagring::containerd
