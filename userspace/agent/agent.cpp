// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/agent.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <exception>
#include <sstream>

#include "userspace/agent/descriptors.hpp"
#include "userspace/agent/explanation.hpp"
#include "userspace/agent/mesh_options.hpp"
#include "userspace/agent/node_agent.hpp"
#include "userspace/agent/start_options.hpp"
#include "userspace/agent/uninstall.hpp"
#include "userspace/base/closed_first.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/base/version.hpp"

namespace hagring::agent {
namespace {

constexpr auto kLook = std::chrono::milliseconds(20);

/// Makes sure that what is led here can be carried. Throws StartError.
void prepare_descriptors(const Config& config) {
  const auto limit = raise_descriptor_limit();
  if (limit < kFewestDescriptors) {
    throw StartError(fmt::format(
        "no more than {} file descriptors are allowed, {} are needed: raise the limit (ulimit -n, "
        "LimitNOFILE=)",
        limit, kFewestDescriptors));
  }
  make_room_for_closed_first();
  const auto clients = capacity_for(limit, {.clients = config.max_connections}).clients;
  if (clients == config.max_connections) return;
  log::warning("agent",
               "{} file descriptors are enough for {} connections at once, not for "
               "--max-connections {}: the others go past the mirror",
               limit, clients, config.max_connections);
}

void log_configuration(const LoadedConfig& loaded) {
  const auto text = describe(loaded);
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = text.find('\n', begin);
    log::info("config", "{}", text.substr(begin, end - begin));
    begin = end + 1;
  }
}

/// Who asks twice doesn't want to wait for streams.
awaitable<void> hurry_at_signal(NodeAgent& agent, asio::signal_set& signals) {
  auto [error, signal] = co_await signals.async_wait(kTuple);
  if (error) co_return;
  log::warning("agent", "signal {} again: streams are cut", signal);
  agent.hurry();
}

awaitable<void> stop(NodeAgent& agent, asio::signal_set& signals) {
  TaskGroup impatience(co_await asio::this_coro::executor, "signals");
  impatience.spawn([&] { return hurry_at_signal(agent, signals); });
  co_await agent.stop();
  impatience.cancel();
  co_await impatience.drain();
}

awaitable<std::exception_ptr> succeed(NodeAgent& agent) {
  try {
    co_await agent.succeed();
  } catch (const StartError&) {
    co_return std::current_exception();
  }
  co_return nullptr;
}

awaitable<void> tell_when_settled(NodeAgent& agent, Clock& clock, systemd::Notifier& supervisor) {
  co_await asio::this_coro::throw_if_cancelled(false);
  while (!agent.is_settled()) {
    if (co_await asked_to_stop()) co_return;
    co_await clock.sleep_for(kLook);
  }
  supervisor.ready(agent.ready_text());
}

/// Until a signal comes, which it returns.
awaitable<int> serve_until_signal(NodeAgent& agent, asio::signal_set& signals, Clock& clock,
                                  systemd::Notifier& supervisor) {
  TaskGroup telling(co_await asio::this_coro::executor, "ready");
  telling.spawn([&] { return tell_when_settled(agent, clock, supervisor); });
  auto [error, signal] = co_await signals.async_wait(kTuple);
  telling.cancel();
  co_await telling.drain();
  co_return error ? 0 : signal;
}

awaitable<void> serve(NodeAgent& agent, asio::signal_set& signals, Clock& clock,
                      systemd::Notifier& supervisor, bool wait_when_replaced) {
  agent.start();
  const auto failure = co_await succeed(agent);
  if (failure) {
    co_await stop(agent, signals);
    std::rethrow_exception(failure);
  }
  const int signal = co_await serve_until_signal(agent, signals, clock, supervisor);
  supervisor.stopping();
  log::info("agent", "{}: redirection ends, streams may end; a signal cuts them",
            agent.is_replaced() ? "replaced" : fmt::format("signal {}", signal));
  co_await stop(agent, signals);
  if (agent.is_replaced() && wait_when_replaced) {
    log::info("agent", "waiting for SIGTERM (--wait-when-replaced)");
    co_await signals.async_wait(kTuple);
  }
}

/// What `hagring uninstall` would do now. Returns the exit code.
int uninstall_at_end(const Config& config) {
  std::ostringstream said;
  int code = 1;
  try {
    code = uninstall(config, false, said);
  } catch (const StartError& error) {
    // An agent that has been started meanwhile, say, whose things these are now.
    log::warning("uninstall", "nothing is removed: {}", error.what());
  }
  std::istringstream lines(said.str());
  for (std::string line; std::getline(lines, line);) log::info("uninstall", "{}", line);
  return code;
}

/// Runs an agent from its start to its end. Returns whether another one has taken its place.
bool run_to_the_end(const Config& config) {
  SystemClock clock;
  systemd::Notifier supervisor(clock, systemd::NotifierOptions::from(::getenv, ::getpid()));
  asio::io_context control(1);
  asio::signal_set signals(control, SIGTERM, SIGINT);
  auto predecessor =
      config.takeover ? meet_predecessor(config.admin_socket) : std::optional<Predecessor>();
  NodeAgent agent(config, control.get_executor(), supervisor, std::move(predecessor));
  std::exception_ptr failure;
  asio::co_spawn(control, serve(agent, signals, clock, supervisor, config.wait_when_replaced),
                 [&](std::exception_ptr error) { failure = error; });
  control.run();
  if (failure) std::rethrow_exception(failure);
  return agent.is_replaced();
}

}  // namespace

void check(const Config& config) {
  const auto policy = make_policy(config);
  redirector_options(config, policy);
  authority_options(config, policy);
  check_mesh(config);
}

std::string explain(const Config& config, const registry::Reference& reference) {
  return explain(make_policy(config), reference, nullptr);
}

int run(const LoadedConfig& loaded) {
  const auto& config = loaded.config;
  log::configure(config.log_level, config.log_format);
  log::info("agent", "hagring {}, pid {}", kVersion, ::getpid());
  log_configuration(loaded);
  prepare_descriptors(config);
  std::signal(SIGPIPE, SIG_IGN);

  const bool replaced = run_to_the_end(config);
  const int code = config.uninstall_on_exit && !replaced ? uninstall_at_end(config) : 0;
  log::info("agent", "ended in order");
  return code;
}

}  // namespace hagring::agent
