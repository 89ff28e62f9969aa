// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <optional>
#include <sstream>

#include "userspace/agent/agent.hpp"
#include "userspace/agent/config.hpp"
#include "userspace/agent/uninstall.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/result.hpp"
#include "userspace/base/version.hpp"
#include "userspace/cli/explain.hpp"
#include "userspace/cli/log_level.hpp"
#include "userspace/cli/lookup.hpp"
#include "userspace/cli/preflight.hpp"
#include "userspace/cli/status.hpp"
#include "userspace/cli/trust.hpp"
#include "userspace/cli/watch.hpp"
#include "userspace/preflight/preflight.hpp"

namespace hagring::cli {
namespace {

// Exit codes, listed in the help text below.
constexpr int kFailed = 1;
constexpr int kBadUsage = 2;

constexpr const char* kFooter =
    "Exit codes: 0 done, 1 failed (agent, preflight: this machine lacks something; lookup: nobody\n"
    "has it; explain: it isn't mirrored; trust: not installed, or a containerd can't know it),\n"
    "2 wrong usage or configuration, 3 no agent answers (status, lookup, explain,\n"
    "log-level).\n";

constexpr const char* kAgentDetails =
    "Finds containerd, redirects its registry connections to the mirror in this process, and\n"
    "serves this node's content to peers. Needs root, or CAP_BPF and CAP_NET_ADMIN and access to\n"
    "containerd's socket and content. SIGTERM ends it in order: redirection stops first, streams\n"
    "end, pins are removed.\n"
    "Each option is also a key of the configuration file (--stall-timeout: stall-timeout) and an\n"
    "environment variable (HAGRING_STALL_TIMEOUT). A flag wins over the environment, the\n"
    "environment over the file; unknown keys are errors.\n\n";

constexpr const char* kTrustDetails =
    "The CA is made on the node and limited to the mirrored registries. Its certificate goes into "
    "a\n"
    "directory in which Go reads every file, as one file of hagring's own; no other file is "
    "touched.\n"
    "The agent does the same at its start. A containerd that started before trusts the CA when it "
    "is\n"
    "started again; until then its connections are passed through untouched.\n\n";

constexpr std::size_t kHelpColumn = 34;  ///< where the options' texts begin
constexpr std::size_t kHelpWidth = 64;   ///< of those texts

/// Breaks `text` into lines of at most kHelpWidth characters; CLI11 indents them.
std::string wrapped(const std::string& text) {
  std::string lines;
  std::size_t length = 0;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (length > 0 && length + 1 + word.size() > kHelpWidth) {
      lines += '\n';
      length = 0;
    }
    if (length > 0) lines += ' ';
    lines += word;
    length += word.size() + 1;
  }
  return lines;
}

struct Arguments {
  agent::Values flags;
  std::string config_file;
  bool print_config = false;
  bool preflight_json = false;
  bool dry_run = false;
  bool wait = false;
  StatusOptions status;
  bool watch = false;
  LogLevelOptions log_level;
  LookupOptions lookup;
  ExplainOptions explain;
  TrustOptions trust;
};

std::vector<std::string> environment() {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) entries.emplace_back(*entry);
  return entries;
}

/// Options for settings: all, or those of these names.
void add_settings(CLI::App& command, Arguments& arguments,
                  const std::vector<std::string_view>& names = {}) {
  command.add_option("--config", arguments.config_file, "configuration file (TOML)")
      ->type_name("PATH")
      ->envname("HAGRING_CONFIG");
  const agent::Config defaults;
  for (const auto& setting : agent::settings()) {
    const bool is_named = std::ranges::find(names, setting.name) != names.end();
    if (!names.empty() && !is_named) continue;
    const auto help =
        wrapped(fmt::format("{} ({}default: {})", setting.help,
                            setting.list ? "may be repeated; " : "", setting.show(defaults)));
    command
        .add_option_function<std::string>(
            "--" + setting.name,
            [&flags = arguments.flags, name = setting.name](const std::string& text) {
              flags[name].push_back(text);
            },
            help)
        ->type_name(setting.placeholder)
        ->trigger_on_parse();
  }
}

CLI::App* add_agent(CLI::App& app, Arguments& arguments) {
  auto* command = app.add_subcommand("agent", "Runs the node agent.");
  command->footer(kAgentDetails + std::string(kFooter));
  add_settings(*command, arguments);
  command->add_flag("--print-config", arguments.print_config,
                    "print the effective configuration and exit");
  return command;
}

CLI::App* add_preflight(CLI::App& app, Arguments& arguments) {
  auto* command =
      app.add_subcommand("preflight", "Looks whether the agent could do its work on this machine.");
  command->footer(
      "Takes the agent's options, changes nothing, and says of each thing that the agent needs\n"
      "whether it is there and, where it isn't, what to do.\n\n" +
      std::string(kFooter));
  command->add_flag("--json", arguments.preflight_json, "print JSON, for scripts");
  add_settings(*command, arguments);
  return command;
}

/// Options of the commands that ask an agent.
void add_asking_options(CLI::App& command, bool& json, std::string& socket) {
  command.add_flag("--json", json, "print JSON, for scripts");
  command.add_option("--admin-socket", socket, "the agent's socket, as its --admin-socket says")
      ->type_name("PATH")
      ->envname("HAGRING_ADMIN_SOCKET")
      ->default_str(socket);
}

CLI::App* add_status(CLI::App& app, Arguments& arguments) {
  auto* command = app.add_subcommand("status", "Shows what the agent on this node does.");
  command->footer(
      "Who is intercepted, whether it trusts the mirror and why, peers, counters, and the recent\n"
      "pulls with where each blob came from. --watch shows the pulls in progress instead, until\n"
      "Ctrl-C: with progress bars on a terminal, elsewhere as lines (--json: a document a "
      "line).\n\n" +
      std::string(kFooter));
  command->add_flag("--watch", arguments.watch, "show the pulls in progress, until Ctrl-C");
  add_asking_options(*command, arguments.status.json, arguments.status.socket);
  return command;
}

CLI::App* add_log_level(CLI::App& app, Arguments& arguments) {
  auto* command = app.add_subcommand("log-level", "Shows or changes what the running agent logs.");
  command->footer("The change lasts until the agent ends; then --log-level counts again.\n\n" +
                  std::string(kFooter));
  command
      ->add_option("level", arguments.log_level.level,
                   "trace, debug, info, warning or error; without it the level is shown")
      ->type_name("LEVEL");
  add_asking_options(*command, arguments.log_level.json, arguments.log_level.socket);
  return command;
}

CLI::App* add_lookup(CLI::App& app, Arguments& arguments) {
  auto* command = app.add_subcommand("lookup", "Asks the mesh which nodes have some content.");
  command->footer(
      "The agent on this node searches the DHT, as a pull would, and each node that it finds is\n"
      "shown with the time at which it was found.\n\n" +
      std::string(kFooter));
  command
      ->add_option("what", arguments.lookup.what,
                   "a digest (sha256:…) or an image's name (nginx:1.27)")
      ->required()
      ->type_name("DIGEST|REFERENCE");
  add_asking_options(*command, arguments.lookup.json, arguments.lookup.socket);
  return command;
}

CLI::App* add_explain(CLI::App& app, Arguments& arguments) {
  auto* command =
      app.add_subcommand("explain", "Tells how pulls of an image are answered, and why.");
  command->footer(
      "The agent on this node tells which rule or default decides, and what it knows of the\n"
      "repository. With --config, or one of the agent's own options, it is decided without an\n"
      "agent, as one would that is configured so.\n\n" +
      std::string(kFooter));
  command->add_option("reference", arguments.explain.what, "an image's name (nginx:1.27)")
      ->required()
      ->type_name("REFERENCE");
  add_asking_options(*command, arguments.explain.json, arguments.explain.socket);
  add_settings(*command, arguments, {"default-registries", "registry", "rule"});
  // In the agent's own container its file is named there, and it is the agent that is to be asked.
  command->get_option("--config")->envname("");
  return command;
}

/// `hagring trust …`, which has one of three commands.
CLI::App* add_trust(CLI::App& app, Arguments& arguments) {
  auto* command = app.add_subcommand("trust", "Makes containerd trust the node's CA, or not.");
  command->require_subcommand(1);
  command->footer(kTrustDetails + std::string(kFooter));
  auto* install = command->add_subcommand("install", "Makes the CA and puts it on the host.");
  auto* remove = command->add_subcommand("remove", "Takes it away from the host again.");
  auto* status = command->add_subcommand("status", "Says where it is and who can know it.");
  for (auto* one : {install, remove, status}) {
    add_settings(*one, arguments,
                 {"containerd-socket", "host-root", "default-registries", "registry", "state-dir",
                  "ca-cert", "ca-key"});
  }
  add_asking_options(*status, arguments.trust.json, arguments.trust.socket);
  return command;
}

CLI::App* add_uninstall(CLI::App& app, Arguments& arguments) {
  auto* command = app.add_subcommand("uninstall", "Removes what hagring has left on this node.");
  command->footer(
      "The authority's key and certificate, pins, containerd's leases and the state directory. "
      "The\n"
      "agent has to be stopped. Give it the agent's own configuration; can be run again.\n\n" +
      std::string(kFooter));
  add_settings(*command, arguments,
               {"containerd-socket", "containerd-namespace", "host-root", "state-dir", "pin-dir",
                "admin-socket"});
  command->add_flag("--dry-run", arguments.dry_run, "say what would be removed, remove nothing");
  command->add_flag("--wait", arguments.wait,
                    "when all is gone, wait for SIGTERM: for a DaemonSet, that would\n"
                    "start again what ends");
  return command;
}

/// Throws StartError, for each thing that can be wrong about the configuration alone.
agent::LoadedConfig load(const Arguments& arguments) {
  const auto file = arguments.config_file.empty() ? agent::ConfigFile()
                                                  : agent::read_config_file(arguments.config_file);
  auto loaded = agent::load_config(arguments.flags, agent::read_environment(environment()), file);
  try {
    agent::check(loaded.config);
  } catch (const StartError& error) {
    throw StartError(agent::with_places(loaded, error.what()));
  }
  return loaded;
}

/// Runs a command that needs the agent's configuration.
template <typename Command>
int with_config(const Arguments& arguments, Command command) {
  std::optional<agent::LoadedConfig> loaded;
  try {
    loaded = load(arguments);
  } catch (const StartError& error) {
    std::fprintf(stderr, "hagring: %s\n", error.what());
    return kBadUsage;
  }
  return command(*loaded);
}

int run_preflight(const Arguments& arguments, const agent::LoadedConfig& loaded) {
  log::configure(log::Level::error, loaded.config.log_format);
  return show_preflight(preflight::run(loaded.config), arguments.preflight_json);
}

int run_agent(const Arguments& arguments, const agent::LoadedConfig& loaded) {
  if (!arguments.print_config) return agent::run(loaded);
  std::cout << agent::describe(loaded);
  return 0;
}

int run_uninstall(const Arguments& arguments, const agent::Config& config) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  // Before there are other threads, which would take the signal.
  if (arguments.wait) pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  const int code = agent::uninstall(config, arguments.dry_run, std::cout);
  if (code != 0 || !arguments.wait) return code;
  std::cout << "waiting for SIGTERM (--wait)" << std::endl;
  int signal = 0;
  sigwait(&ends, &signal);
  return code;
}

int run_explain(const Arguments& arguments) {
  auto options = arguments.explain;
  if (!arguments.config_file.empty() || !arguments.flags.empty()) {
    options.decide = [&](const registry::Reference& reference) {
      return agent::explain(load(arguments).config, reference);
    };
  }
  try {
    return explain(options);
  } catch (const StartError& error) {
    std::fprintf(stderr, "hagring: %s\n", error.what());
    return kBadUsage;
  }
}

int run_trust(const CLI::App& command, const Arguments& arguments, const agent::Config& config) {
  if (command.got_subcommand("install")) return install_trust(config);
  if (command.got_subcommand("remove")) return remove_trust(config);
  return show_trust(config, arguments.trust);
}

/// Whoever starts us with one of 0, 1 and 2 closed would have the next file or socket take its
/// number, and what we print go there. Before the constructors of globals: gRPC's open descriptors.
[[gnu::constructor(101)]] void open_standard_descriptors() {
  int fd = -1;
  do {
    fd = ::open("/dev/null", O_RDWR);  // the lowest that is free; meant to stay open
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) ::close(fd);
}

int run(int argc, char** argv) {
  CLI::App app(
      "hagring makes every container image pull try the cluster's own nodes first,\n"
      "with the container runtime's configuration unchanged.",
      "hagring");
  app.footer(kFooter);
  app.get_formatter()->column_width(kHelpColumn);
  app.require_subcommand(1);
  Arguments arguments;
  const auto* agent_command = add_agent(app, arguments);
  const auto* preflight_command = add_preflight(app, arguments);
  const auto* uninstall_command = add_uninstall(app, arguments);
  const auto* status_command = add_status(app, arguments);
  const auto* log_level_command = add_log_level(app, arguments);
  const auto* lookup_command = add_lookup(app, arguments);
  const auto* explain_command = add_explain(app, arguments);
  const auto* trust_command = add_trust(app, arguments);
  app.add_subcommand("version", "Prints the version.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    return kBadUsage;
  }
  if (agent_command->parsed()) {
    return with_config(arguments, [&](const auto& loaded) { return run_agent(arguments, loaded); });
  }
  if (preflight_command->parsed()) {
    return with_config(arguments,
                       [&](const auto& loaded) { return run_preflight(arguments, loaded); });
  }
  if (uninstall_command->parsed()) {
    return with_config(arguments,
                       [&](const auto& loaded) { return run_uninstall(arguments, loaded.config); });
  }
  if (status_command->parsed()) {
    return arguments.watch ? watch_status(arguments.status) : show_status(arguments.status);
  }
  if (log_level_command->parsed()) return log_level(arguments.log_level);
  if (lookup_command->parsed()) return look_up(arguments.lookup);
  if (explain_command->parsed()) return run_explain(arguments);
  if (trust_command->parsed()) {
    return with_config(arguments, [&](const auto& loaded) {
      return run_trust(*trust_command, arguments, loaded.config);
    });
  }
  std::cout << "hagring " << kVersion << '\n';
  return 0;
}

}  // namespace
}  // namespace hagring::cli

int main(int argc, char** argv) {
  try {
    return hagring::cli::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hagring: %s\n", error.what());
    return hagring::cli::kFailed;
  }
}
