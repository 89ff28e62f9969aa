// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/agent.hpp"

#include <sys/resource.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <exception>

#include "userspace/agent/explanation.hpp"
#include "userspace/agent/mesh_options.hpp"
#include "userspace/agent/node_agent.hpp"
#include "userspace/agent/start_options.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/base/version.hpp"

namespace hagring::agent {
namespace {

constexpr auto kLook = std::chrono::milliseconds(20);

/// Connections take two descriptors each, and pipes: everything that we are allowed.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
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
  raise_descriptor_limit();
  std::signal(SIGPIPE, SIG_IGN);

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
  log::info("agent", "ended in order");
  return 0;
}

}  // namespace hagring::agent
