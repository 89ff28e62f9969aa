// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/hosts_trust.hpp"

#include <fmt/core.h>

#include <filesystem>

#include "registry/containerd/config_path.hpp"
#include "userspace/agent/start_options.hpp"
#include "userspace/base/atomic_file.hpp"
#include "userspace/base/log.hpp"

namespace hagring::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxRecord = 4096;

/// The namespaces of mirrored registries that have a name of their own and speak TLS.
std::vector<std::string> nameable(const registry::Policy& policy) {
  std::vector<std::string> names{kHostsProbe};
  for (const auto& host : policy.hosts()) {
    if (host.plain || host.pattern.find('*') != std::string::npos) continue;
    if (auto name = policy.registry_of(host.pattern, host.port, false)) {
      names.push_back(std::move(*name));
    }
  }
  return names;
}

fs::path record_of(const Config& config) { return fs::path(config.state_dir) / kHostsRecord; }

}  // namespace

HostsTrust::HostsTrust(const Config& config, const registry::Policy& policy, const Clock& clock)
    : config_(config), namespaces_(nameable(policy)), trust_(clock) {}

awaitable<void> HostsTrust::find(containerd::RuntimeProcess process) {
  const auto client = client_;
  const auto found = co_await containerd::find_config_path(std::move(process));
  if (client != client_) co_return;  // the answer is about another
  sought_ = true;
  if (found.directory.empty()) {
    give_up(found.how);
    co_return;
  }
  folder_.emplace(config_.host_root, found.directory, trust_store_options(config_).name);
}

void HostsTrust::place(const std::string& pem) {
  if (!folder_) return;
  auto placed = folder_->place(namespaces_, pem);
  if (placed) return use(std::move(*placed));
  give_up(placed.error() == Errc::not_found
              ? fmt::format("its config_path, {}, isn't there", folder_->directory().string())
              : fmt::format("its config_path, {}: {}", folder_->directory().string(),
                            placed.error().message()));
}

void HostsTrust::use(proxy::PlacedHosts placed) {
  if (!placed.covered.contains(kHostsProbe)) {
    (void)folder_->remove();
    return give_up(fmt::format("its config_path, {}, has a _default that ours would hide",
                               folder_->directory().string()));
  }
  why_not_.clear();
  if (placed.changed) {
    refused_.clear();
    const auto text = folder_->directory().string() + "\n";
    if (const auto done = write_file_atomically(record_of(config_), text, 0644); !done) {
      log::warning("trust", "{}: {}; files in {} may be left behind", record_of(config_).string(),
                   done.error().message(), folder_->directory().string());
    }
    log::info("trust", "the node's CA is in {} for {} registries", folder_->directory().string(),
              placed.covered.size() - 1);
    forget();  // what the client made of them before is no proof any longer
  }
  const bool vouched = accept_vouched(placed);
  for (const auto& registry : refused_) placed.covered.erase(registry);
  {
    const std::scoped_lock lock(mutex_);
    covered_ = std::move(placed.covered);
  }
  if (!client_ || trust_.client()) return;
  trust_.client_appeared(client_->first, client_->second);
  // At once: a probe would reach the other agent, which doesn't know it.
  if (vouched) trust_.vouched(client_->first, client_->second);
}

/// What the other agent didn't show the client stays unshown.
bool HostsTrust::accept_vouched(const proxy::PlacedHosts& placed) {
  const auto files = std::exchange(vouched_, std::nullopt);
  if (!files || placed.changed || files->directory != folder_->directory()) return false;
  for (const auto& registry : placed.covered) {
    if (!files->registries.contains(registry)) refused_.insert(registry);
  }
  return true;
}

std::optional<TrustedFiles> HostsTrust::proven_by() const {
  if (!folder_ || !is_proven()) return std::nullopt;
  const std::scoped_lock lock(mutex_);
  return TrustedFiles{.directory = folder_->directory().string(), .registries = covered_};
}

void HostsTrust::give_up(std::string why) {
  forget();
  if (why != std::exchange(why_not_, why)) {
    log::info("trust", "no registry is trusted by files of its own: {}", why);
  }
  const std::scoped_lock lock(mutex_);
  covered_.clear();
}

void HostsTrust::forget() {
  if (const auto former = trust_.client()) trust_.client_gone(*former);
}

void HostsTrust::client_is(std::optional<std::pair<pid_t, WallTime>> client) {
  if (client == client_) return;
  client_ = client;
  sought_ = false;
  vouched_.reset();
  refused_.clear();
  folder_.reset();
  forget();
}

void HostsTrust::refused(const std::string& registry) {
  refused_.insert(registry);
  const std::scoped_lock lock(mutex_);
  covered_.erase(registry);
}

bool HostsTrust::is_pending() const {
  using proxy::TrustState;
  const bool placed = why_not_.empty();
  return client_ && (!sought_ || (placed && (trust_.state() == TrustState::unproven ||
                                             trust_.state() == TrustState::proving)));
}

bool HostsTrust::terminates(const std::string& registry) const {
  if (!trust_.terminates()) return false;
  const std::scoped_lock lock(mutex_);
  return covered_.contains(registry);
}

std::string HostsTrust::reason() const {
  if (!why_not_.empty()) return why_not_;
  if (!folder_ || !is_proven()) return trust_.reason();
  const std::scoped_lock lock(mutex_);
  return fmt::format("trusted by files in {} for {} registries", folder_->directory().string(),
                     covered_.size() - 1);
}

std::optional<proxy::HostsFolder> recorded_hosts(const Config& config) {
  auto text = read_small_file(record_of(config), kMaxRecord);
  if (!text || !text->starts_with('/')) return std::nullopt;
  if (text->ends_with('\n')) text->pop_back();
  return proxy::HostsFolder(config.host_root, *text, trust_store_options(config).name);
}

Result<std::size_t> remove_recorded_hosts(const Config& config) {
  const auto folder = recorded_hosts(config);
  if (!folder) return 0;
  TRY(const auto removed, folder->remove());
  std::error_code ignored;
  fs::remove(record_of(config), ignored);
  return removed;
}

}  // namespace hagring::agent
