// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/runtime_restart.hpp"

#include <fmt/core.h>

#include <random>

#include "userspace/base/log.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;

constexpr auto kLook = 500ms;
/// What systemd says of the unit may change.
constexpr auto kPlanAge = 5s;

}  // namespace

RuntimeRestart::RuntimeRestart(Clock& clock, systemd::ServiceManager& systemd, Options options,
                               Hooks hooks)
    : clock_(clock),
      systemd_(systemd),
      options_(std::move(options)),
      hooks_(std::move(hooks)),
      mark_(options_.state_dir) {}

awaitable<void> RuntimeRestart::run() {
  co_await asio::this_coro::throw_if_cancelled(false);
  while (!co_await asked_to_stop()) {
    co_await look();
    co_await clock_.sleep_for(kLook);
  }
}

awaitable<void> RuntimeRestart::look() {
  const auto due = hooks_.due();
  const bool is_other = due != due_;
  if (is_other) {
    due_.reset();
    turn_.reset();
    said_.clear();
  }
  if (!due) co_return;
  if (is_other || clock_.now() - planned_ > kPlanAge) {
    plan_ = co_await consider_restart(systemd_, *due, options_.unit);
    planned_ = clock_.now();
    due_ = due;
    say(text());
  }
  if (!options_.once || !plan_.refusal.empty() || mark_.is_set()) co_return;
  if (!turn_) turn_ = clock_.now() + draw_delay();
  waits_for_pulls_ = clock_.now() >= *turn_ && hooks_.busy();
  if (clock_.now() >= *turn_ && !waits_for_pulls_) co_await restart();
}

awaitable<void> RuntimeRestart::restart() {
  // Once more: minutes may have passed since it was asked.
  plan_ = co_await consider_restart(systemd_, *due_, options_.unit);
  planned_ = clock_.now();
  if (!plan_.refusal.empty() || hooks_.due() != due_ || hooks_.busy()) co_return;
  // First: whatever becomes of us then, there is no second restart.
  if (const auto set = mark_.set(); !set) {
    plan_.refusal = "that it was can't be written down in --state-dir: " + set.error().message();
    say(text());
    co_return;
  }
  log::warning("trust",
               "systemd is asked to restart {}: containerd was started before the CA was "
               "there (--restart-runtime once)",
               plan_.unit);
  const auto done = co_await systemd_.restart(plan_.unit);
  if (!done) {
    log::error("trust", "{} isn't restarted: {}", plan_.unit, done.error().message());
  }
}

Duration RuntimeRestart::draw_delay() const {
  std::random_device random;
  std::uniform_int_distribution<Duration::rep> draw(0, options_.longest_delay.count());
  return Duration(draw(random));
}

void RuntimeRestart::say(std::string text) {
  if (text == said_) return;
  said_ = std::move(text);
  log::warning("trust", "a restart is due: {}", said_);
}

std::string RuntimeRestart::text() const {
  if (!due_) return {};
  const bool restarted = mark_.is_set();
  auto text = describe_restart(plan_, options_.once, restarted);
  if (!options_.once || restarted || !plan_.refusal.empty()) return text;
  if (waits_for_pulls_) return text + ", as soon as none of its connections is open";
  const auto left = turn_.value_or(clock_.now() + options_.longest_delay) - clock_.now();
  return text +
         fmt::format(
             " in {} s",
             std::chrono::ceil<std::chrono::seconds>(std::max(left, Duration::zero())).count());
}

}  // namespace hagring::agent
