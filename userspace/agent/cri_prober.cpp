// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/cri_prober.hpp"

#include <fmt/core.h>

#include "registry/containerd/cri_probe.hpp"

namespace hagring::agent {
namespace {

/// The request is answered on this node: what takes longer isn't coming.
constexpr auto kLimit = std::chrono::seconds(15);

}  // namespace

awaitable<std::string> CriProber::probe(std::string nonce) {
  const auto socket = socket_();
  if (socket.empty()) co_return "containerd's socket isn't known";
  // A connection of its own each time: containerd may have been restarted since the last.
  containerd::CriProbe cri(socket);
  const auto outcome =
      co_await cri.pull(fmt::format("{}/hagring/probe:{}", registry_, nonce), kLimit);
  if (!outcome) co_return outcome.error().message();
  co_return outcome->text;
}

}  // namespace hagring::agent
