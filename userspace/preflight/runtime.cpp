// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <optional>

#include "registry/containerd/client.hpp"
#include "registry/containerd/content_folder.hpp"
#include "registry/containerd/discard_setting.hpp"
#include "registry/containerd/sockets.hpp"
#include "userspace/agent/start_options.hpp"
#include "userspace/preflight/preflight.hpp"
#include "userspace/preflight/runtime_process.hpp"
#include "userspace/redirect/cgroup.hpp"
#include "userspace/redirect/process.hpp"

namespace hagring::preflight {
namespace {

struct Answers {
  std::optional<containerd::RpcResult<std::string>> version;
  std::optional<containerd::RpcResult<std::string>> root;
  containerd::DiscardFinding discards{};
};

awaitable<Answers> ask(containerd::Client& client, containerd::RuntimeProcess process) {
  Answers answers;
  answers.version = co_await client.version();
  if (!*answers.version) co_return answers;
  answers.root = co_await client.content_root();
  process.version = **answers.version;
  answers.discards = co_await containerd::find_discards(client, std::move(process));
  co_return answers;
}

/// What containerd says of itself; each call has a limit of its own.
Answers ask(const RuntimeProcess& runtime, const agent::Config& config) {
  containerd::Client client(runtime.socket, config.containerd_namespace);
  asio::io_context context;
  auto answers = asio::co_spawn(context,
                                ask(client, {.socket = runtime.socket,
                                             .version = {},
                                             .pid = runtime.pid,
                                             .host_root = agent::mounted_root(config)}),
                                asio::use_future);
  context.run();
  return answers.get();
}

Check check_cgroup(pid_t pid) {
  const auto cgroup = redirect::find_cgroup(pid);
  if (!cgroup) {
    return {"runtime's cgroup", Level::failure, cgroup.error().message(),
            "the hook is attached to containerd's cgroup (version 2), which must be visible here"};
  }
  if (cgroup->id == 1) {
    return {"runtime's cgroup", Level::warning, cgroup->path + " is the root of all",
            "the hook then runs for every process's connects: give containerd a cgroup of its own"};
  }
  return {"runtime's cgroup", Level::ok, cgroup->path};
}

Check check_content(const std::string& root, const agent::Config& config, pid_t pid) {
  const auto folder = containerd::ContentFolder::find(root, agent::mounted_root(config), pid);
  if (folder) return {"content store", Level::ok, folder->path()};
  return {"content store", Level::failure,
          fmt::format("{} can't be opened here: {}", root, folder.error().message()),
          "run as root; in a container: mount the host's root and name it by --host-root"};
}

/// Whether other nodes can have layers from this one once they are unpacked.
Check check_layers(const containerd::DiscardFinding& finding, const agent::Config& config) {
  constexpr auto kName = "unpacked layers";
  const bool never = config.keep_layers == "never" || config.keep_layers_bytes == 0;
  switch (finding.discards) {
    case containerd::Discards::no:
      return {kName, Level::ok, "containerd keeps them: " + finding.how};
    case containerd::Discards::yes:
      if (!never) {
        return {kName, Level::ok,
                "containerd throws them away, the agent has them kept: " + finding.how};
      }
      return {kName, Level::warning, "containerd throws them away: " + finding.how,
              "other nodes can't have them from here: set --keep-layers and --keep-layers-bytes"};
    case containerd::Discards::unknown:
      break;
  }
  if (config.keep_layers != "auto") return {kName, Level::ok, "as --keep-layers says"};
  return {kName, Level::warning, "whether containerd keeps them isn't known: " + finding.how,
          "say --keep-layers always or never"};
}

}  // namespace

std::optional<RuntimeProcess> find_runtime(const agent::Config& config) {
  RuntimeProcess runtime{.socket = config.containerd_socket};
  if (runtime.socket.empty()) {
    const auto found = containerd::find_sockets(agent::mounted_root(config));
    if (found.empty()) return std::nullopt;
    runtime.socket = found.front().path;
    runtime.flavour = found.front().flavour;
  }
  const auto pid = redirect::socket_owner(runtime.socket);
  if (pid) {
    runtime.pid = *pid;
  } else {
    runtime.problem = pid.error().message();
  }
  return runtime;
}

Checks check_runtime(const agent::Config& config) {
  const auto runtime = find_runtime(config);
  if (!runtime) {
    return {{"containerd", Level::failure, "no socket at " + containerd::searched_sockets(),
             "start containerd, name its socket by --containerd-socket, or, in a container, mount "
             "it and name the host's root by --host-root; the agent waits for it"}};
  }
  if (runtime->pid == 0) {
    return {{"containerd", Level::failure, fmt::format("{}: {}", runtime->socket, runtime->problem),
             "is containerd running, is it the right socket, does the agent see the host's "
             "processes (hostPID)?"}};
  }
  const auto answers = ask(*runtime, config);
  if (!*answers.version) {
    return {{"containerd", Level::failure,
             fmt::format("pid {} at {} does not answer as containerd's API does: {}", runtime->pid,
                         runtime->socket, answers.version->error().text),
             "is it the right socket?"}};
  }
  Checks all{
      {"containerd", Level::ok,
       fmt::format("{}{}{}, pid {}, at {}", runtime->flavour, runtime->flavour.empty() ? "" : ", ",
                   **answers.version, runtime->pid, runtime->socket)},
      check_cgroup(runtime->pid)};
  if (answers.root && *answers.root) {
    all.push_back(check_content(**answers.root, config, runtime->pid));
  } else if (answers.root) {
    all.push_back({"content store", Level::failure, answers.root->error().text,
                   "containerd's content plugin must be running: see its log"});
  }
  all.push_back(check_layers(answers.discards, config));
  return all;
}

}  // namespace hagring::preflight
