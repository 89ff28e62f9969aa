// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/descriptors.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace hagring::agent {
namespace {

constexpr std::uint64_t kForTheRest = 192;
/// Of what is left clients, at 16 each, have three quarters at the most, and peers, at 2, one.
constexpr std::uint64_t kForAClient = 22;
constexpr std::uint64_t kForAPeer = 8;

}  // namespace

std::uint64_t descriptor_limit() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  return descriptor_limit();
}

Capacity capacity_for(std::uint64_t descriptors, Capacity limits) {
  const auto left = descriptors - std::min(descriptors, kForTheRest);
  return {.clients = std::min(limits.clients, left / kForAClient),
          .peers = std::min(limits.peers, left / kForAPeer)};
}

}  // namespace hagring::agent
