// SPDX-License-Identifier: Apache-2.0
#include <fmt/chrono.h>
#include <fmt/core.h>

#include "userspace/agent/start_options.hpp"
#include "userspace/preflight/preflight.hpp"
#include "userspace/preflight/runtime_process.hpp"
#include "userspace/proxy/trust_store.hpp"
#include "userspace/redirect/process.hpp"

namespace hagring::preflight {
namespace {

std::string shown(WallTime time) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

}  // namespace

Checks check_trust(const agent::Config& config) {
  if (!config.install_ca) {
    return {{"trust", Level::warning, "the node's CA isn't put anywhere (--install-ca false)",
             "containerd must trust it by other means, or its connections are passed through"}};
  }
  proxy::TrustStore store(agent::trust_store_options(config));
  const auto since = store.installed_at();
  if (!since && since.error() != Errc::not_found) {
    return {{"trust", Level::warning, fmt::format("{}: {}", store.path(), since.error().message()),
             "without it TLS connections are passed through untouched"}};
  }
  if (!since) {
    return {{"trust", Level::ok,
             fmt::format("the node's CA will be {}; a containerd that has verified a certificate "
                         "since its start reads it after a restart only",
                         store.path())}};
  }
  const auto runtime = find_runtime(config);
  const auto ticks = runtime && runtime->pid != 0 ? redirect::process_start_time(runtime->pid)
                                                  : Result<std::uint64_t>(Errc::not_found);
  if (ticks && redirect::wall_time_of(*ticks) < *since) {
    return {{"trust", Level::warning,
             fmt::format("containerd (since {}) is older than {} (since {})",
                         shown(redirect::wall_time_of(*ticks)), store.path(), shown(*since)),
             "unless `hagring status` says that it trusts the CA all the same: restart containerd "
             "when it suits; containers go on running"}};
  }
  return {{"trust", Level::ok, fmt::format("{} since {}", store.path(), shown(*since))}};
}

}  // namespace hagring::preflight
