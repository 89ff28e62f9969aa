// SPDX-License-Identifier: Apache-2.0
// What others may know of a server.
#include <fmt/chrono.h>
#include <fmt/core.h>

#include "registry/breaker.hpp"

namespace hagring::registry {
namespace {

std::string_view complaint(Trouble trouble) {
  switch (trouble) {
    case Trouble::unreachable:
      return "has not been reached";
    case Trouble::silent:
      return "has not answered";
    case Trouble::failing:
      break;
  }
  return "has been failing";
}

}  // namespace

std::string_view to_string(Trouble trouble) {
  switch (trouble) {
    case Trouble::unreachable:
      return "unreachable";
    case Trouble::silent:
      return "silent";
    case Trouble::failing:
      break;
  }
  return "failing";
}

std::string Breaker::Outage::to_string() const {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  return fmt::format("{} {} since {:%Y-%m-%dT%H:%M:%S}Z ({})", server.to_string(),
                     complaint(trouble), fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)),
                     reason);
}

bool Breaker::is_down(const OriginServer& server) const {
  const std::lock_guard lock(mutex_);
  const auto* entry = find(server);
  return entry != nullptr && entry->state == State::open;
}

std::string Breaker::probe_target(const OriginServer& server) const {
  const std::lock_guard lock(mutex_);
  const auto* entry = find(server);
  return entry == nullptr || entry->target.empty() ? "/v2/" : entry->target;
}

bool Breaker::is_fresh(const Entry& entry) const {
  return entry.looked_at != TimePoint{} && clock_.now() - entry.looked_at < options_.fresh;
}

awaitable<bool> Breaker::is_found_down(OriginServer server, std::string target, Duration limit) {
  if (!start_probing_) co_return is_down(server);
  const auto fate = std::make_shared<Fate>(co_await asio::this_coro::executor, clock_);
  std::optional<Leave> waiting;
  Deeds deeds;
  {
    const std::lock_guard lock(mutex_);
    auto& entry = touch(server);
    entry.target = std::move(target);
    if (entry.state == State::open || is_fresh(entry)) co_return entry.state == State::open;
    entry.suspected = true;
    want_probe(entry, deeds);
    waiting.emplace(
        Leave(*this, under_way_.emplace(server, Leave::UnderWay{.fate = fate, .waits = true})));
  }
  carry_out(std::move(deeds));
  co_await fate->sleep_for(limit);
  co_return is_down(server);
}

std::optional<Breaker::Outage> Breaker::outage(const OriginServer& server) const {
  const std::lock_guard lock(mutex_);
  const auto* entry = find(server);
  if (entry == nullptr || entry->state == State::closed) return std::nullopt;
  return outage_of(*entry);
}

std::vector<Breaker::Outage> Breaker::outages() const {
  std::vector<Outage> result;
  const std::lock_guard lock(mutex_);
  for (const auto& entry : entries_) {
    if (entry.state != State::closed) result.push_back(outage_of(entry));
  }
  return result;
}

Breaker::Outage Breaker::outage_of(const Entry& entry) const {
  Outage outage{.server = entry.server,
                .trouble = entry.trouble,
                .reason = entry.reason,
                .since = entry.since,
                .next_probe = {}};
  if (entry.state == State::open && entry.next_probe) {
    outage.next_probe = std::max(*entry.next_probe - clock_.now(), Duration::zero());
  }
  return outage;
}

}  // namespace hagring::registry
