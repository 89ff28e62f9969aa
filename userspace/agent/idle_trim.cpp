// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/idle_trim.hpp"

#include <malloc.h>

#include <ctime>
#include <utility>

#include "userspace/base/code_pages.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::agent {
namespace {

/// Of one processor; heartbeats, timers and scrapes use some 0.3 %.
constexpr double kQuietShare = 0.02;
/// About what an idle agent uses in 10 s: it trims at most looks. That takes 2 ms, and 50 to 100
/// faults of a microsecond afterwards.
constexpr Duration kWorthATrim = std::chrono::milliseconds(25);

Duration used_by_process() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

bool IdleTrim::is_due(Duration used) {
  const std::chrono::duration<double> lately = used - std::exchange(last_, used);
  if (lately >= kQuietShare * std::chrono::duration<double>(kInterval)) return false;
  if (trimmed_ && used - *trimmed_ < kWorthATrim) return false;
  trimmed_ = used;
  return true;
}

awaitable<void> trim_when_idle(Clock& clock) {
  IdleTrim trim;
  while (!co_await asked_to_stop()) {
    co_await clock.sleep_for(IdleTrim::kInterval);
    if (!trim.is_due(used_by_process())) continue;
    ::malloc_trim(0);
    unmap_code();
  }
}

}  // namespace hagring::agent
