// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/uninstall.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <ostream>

#include "registry/containerd/lease_removal.hpp"
#include "registry/containerd/sockets.hpp"
#include "userspace/agent/agent_lock.hpp"
#include "userspace/agent/hosts_trust.hpp"
#include "userspace/agent/start_options.hpp"
#include "userspace/redirect/pins.hpp"

namespace hagring::agent {
namespace {

namespace fs = std::filesystem;

/// What the agent keeps in its state directory besides the authority's key.
constexpr const char* kStateFiles[] = {"ca.crt",  "next.crt", "identity",         "mesh.key",
                                       "private", "records",  "runtime-restarted"};

/// Removes files of `folder`, those that a crash in write_file_atomically leaves included.
void remove_files(const fs::path& folder, const std::vector<std::string>& names, bool dry_run,
                  Removal& removal) {
  for (const auto& name : names) {
    for (const auto& path : {folder / name, folder / ("." + name + ".new")}) {
      std::error_code error;
      if (!fs::exists(fs::symlink_status(path, error))) continue;
      if (!dry_run && !fs::remove(path, error)) {
        removal.failure = fmt::format("{}: {}", path.string(), error.message());
        continue;
      }
      removal.removed.push_back(path.string());
    }
  }
}

void remove_if_empty(const fs::path& folder, bool dry_run, Removal& removal) {
  std::error_code error;
  if (dry_run || !fs::is_directory(folder, error)) return;
  if (fs::is_empty(folder, error) && fs::remove(folder, error)) {
    removal.removed.push_back(folder.string());
  }
}

Removal remove_key(const Config& config, bool dry_run) {
  Removal removal;
  remove_files(config.state_dir, {"ca.key", "next.key"}, dry_run, removal);
  return removal;
}

Removal remove_pins(const Config& config, bool dry_run) {
  auto removed = redirect::remove_left_pins(config.pin_dir, dry_run);
  if (removed) return {.removed = *std::move(removed)};
  return {.failure = fmt::format("{}: {}", config.pin_dir, removed.error().message())};
}

Removal remove_certificate(const Config& config, bool dry_run) {
  proxy::TrustStore store(trust_store_options(config));
  const auto path = store.path();
  const auto installed = store.installed_at();
  if (!installed && installed.error() == proxy::TrustErrc::no_directory) return {};
  if (!dry_run) {
    // Also when the file is gone: links to it may be left.
    const auto removed = store.remove();
    if (!removed) {
      return {.failure = fmt::format("{} can't be removed ({}): remove it by hand", path,
                                     removed.error() == proxy::TrustErrc::not_ours
                                         ? "hagring hasn't made it"
                                         : removed.error().message())};
    }
  }
  if (!installed) return {};
  return {.removed = {path}};
}

Removal remove_hosts(const Config& config, bool dry_run) {
  const auto folder = recorded_hosts(config);
  if (!folder) return {};
  const auto what = folder->directory().string() + "/*/" + folder->file_name();
  if (dry_run) return {.removed = {what}};
  const auto removed = remove_recorded_hosts(config);
  if (!removed) {
    return {.failure = fmt::format("{} can't be removed: {}", what, removed.error().message())};
  }
  return {.removed = {what}};
}

Removal remove_leases(const Config& config, bool dry_run) {
  auto socket = config.containerd_socket;
  if (socket.empty()) {
    const auto found = containerd::find_sockets(mounted_root(config));
    if (!found.empty()) socket = found.front().path;
  }
  constexpr auto kLater =
      "leases may be left; run this again when containerd runs, or let it drop them itself when "
      "their time (--keep-layers-age) is over";
  if (socket.empty()) {
    return {.failure = fmt::format("no containerd socket (looked for {}): {}",
                                   containerd::searched_sockets(), kLater)};
  }
  auto removed = containerd::remove_our_leases(socket, config.containerd_namespace, dry_run);
  if (removed) return {.removed = *std::move(removed)};
  return {.failure =
              fmt::format("containerd at {}: {}: {}", socket, removed.error().to_string(), kLater)};
}

Removal remove_state(const Config& config, bool dry_run) {
  Removal removal;
  const fs::path folder = config.state_dir;
  remove_files(folder, {std::begin(kStateFiles), std::end(kStateFiles)}, dry_run, removal);
  remove_if_empty(folder, dry_run, removal);
  std::error_code error;
  if (!dry_run && fs::is_directory(folder, error)) {
    removal.note = folder.string() + " stays, for it has what hagring hasn't made";
  }
  return removal;
}

/// Of an agent that was killed: one that ends in order removes its socket itself.
Removal remove_socket(const Config& config, bool dry_run) {
  Removal removal;
  const fs::path socket = config.admin_socket;
  std::error_code error;
  if (fs::is_socket(socket, error)) {
    remove_files(socket.parent_path(), {socket.filename().string()}, dry_run, removal);
  }
  return removal;
}

void report(std::ostream& out, const UninstallStep& step, const Removal& removal, bool dry_run) {
  const auto verb = dry_run ? "would remove" : "removed";
  if (removal.removed.empty() && removal.failure.empty()) {
    out << fmt::format("{:<20} nothing\n", step.what);
  }
  for (const auto& thing : removal.removed) {
    out << fmt::format("{:<20} {} {}\n", step.what, verb, thing);
  }
  if (!removal.note.empty()) out << fmt::format("{:<20} {}\n", step.what, removal.note);
  if (!removal.failure.empty()) {
    out << fmt::format("{:<20} FAILED: {}\n", step.what, removal.failure);
  }
}

}  // namespace

std::vector<UninstallStep> uninstall_steps(const Config& config) {
  using Remove = Removal (*)(const Config&, bool);
  const auto step = [&config](std::string what, Remove remove) {
    return UninstallStep{std::move(what),
                         [&config, remove](bool dry_run) { return remove(config, dry_run); }};
  };
  return {step("authority's key", remove_key),
          step("pinned maps", remove_pins),
          step("trusted certificate", remove_certificate),
          step("registries' files", remove_hosts),
          step("leases", remove_leases),
          step("state", remove_state),
          step("admin socket", remove_socket)};
}

int uninstall(const Config& config, bool dry_run, std::ostream& out) {
  const fs::path run_folder = fs::path(config.admin_socket).parent_path();
  std::error_code error;
  const bool was_there = fs::is_directory(run_folder, error);
  fs::create_directories(run_folder, error);
  // Held all the while: an agent can't start meanwhile.
  const auto lock = hold_agent_lock(config.admin_socket);
  bool failed = false;
  for (const auto& step : uninstall_steps(config)) {
    const auto removal = step.remove(dry_run);
    report(out, step, removal, dry_run);
    failed = failed || !removal.failure.empty();
  }
  fs::remove(agent_lock_of(config.admin_socket), error);
  if (!was_there || (!dry_run && run_folder.filename() == "hagring")) {
    fs::remove(run_folder, error);  // only when it is empty
  }
  return failed ? 1 : 0;
}

}  // namespace hagring::agent
