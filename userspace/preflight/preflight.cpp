// SPDX-License-Identifier: Apache-2.0
#include "userspace/preflight/preflight.hpp"

namespace hagring::preflight {

Checks run(const agent::Config& config) {
  auto all = check_host(config);
  for (auto part : {check_runtime, check_trust, check_network}) {
    for (auto& check : part(config)) all.push_back(std::move(check));
  }
  return all;
}

}  // namespace hagring::preflight
