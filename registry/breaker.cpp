// SPDX-License-Identifier: Apache-2.0
#include "registry/breaker.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <boost/asio/post.hpp>

#include "userspace/base/log.hpp"

namespace hagring::registry {
namespace {

/// Answers of a server, or of a gateway before it, that is in trouble as a whole; others of 5xx are
/// about the request.
bool is_bad(unsigned status) {
  return status == 500 || status == 502 || status == 503 || status == 504;
}

}  // namespace

Breaker::Leave::~Leave() {
  if (breaker_ != nullptr) breaker_->end(position_);
}

Result<Breaker::Leave> Breaker::admit(const OriginServer& server, bool others,
                                      asio::any_io_executor executor) {
  Leave::UnderWay under_way{.fate = std::make_shared<Fate>(std::move(executor), clock_),
                            .shares = others};
  const std::lock_guard lock(mutex_);
  auto* entry = find(server);
  if (entry != nullptr && entry->state != State::closed && others) {
    if (entry->state == State::open || entry->trying) return OriginErrc::down;
    entry->trying = under_way.trial = true;
  }
  return Leave(*this, under_way_.emplace(server, std::move(under_way)));
}

void Breaker::end(Leave::Position position) {
  const std::lock_guard lock(mutex_);
  if (position->second.trial) {
    if (auto* entry = find(position->first)) entry->trying = false;
  }
  under_way_.erase(position);
}

void Breaker::failed(const OriginServer& server, Trouble trouble, std::string reason,
                     std::optional<asio::ip::tcp::endpoint> preferred) {
  Deeds deeds;
  {
    const std::lock_guard lock(mutex_);
    auto& entry = touch(server);
    if (preferred) entry.preferred = preferred;
    fail(entry, trouble, std::move(reason), deeds);
  }
  carry_out(std::move(deeds));
}

void Breaker::fail(Entry& entry, Trouble trouble, std::string reason, Deeds& deeds) {
  if (entry.state == State::open) return;
  if (entry.state == State::closed && trouble == Trouble::failing) {
    const auto now = clock_.now();
    if (entry.bad_answers == 0 || now - entry.first_bad_answer > options_.window) {
      entry.bad_answers = 0;
      entry.first_bad_answer = now;
    }
    if (++entry.bad_answers < options_.bad_answers) return;
  }
  open(entry, trouble, std::move(reason), deeds);
}

void Breaker::answered(const OriginServer& server, unsigned status,
                       std::optional<asio::ip::tcp::endpoint> preferred) {
  if (is_bad(status)) {
    return failed(server, Trouble::failing, fmt::format("it answers {}", status), preferred);
  }
  Deeds deeds;
  {
    const std::lock_guard lock(mutex_);
    auto* entry = find(server);
    if (entry == nullptr) return;
    entry->looked_at = clock_.now();
    close(*entry, deeds);
  }
  carry_out(std::move(deeds));
}

void Breaker::reached(const OriginServer& server) {
  Deeds deeds;
  {
    const std::lock_guard lock(mutex_);
    auto* entry = find(server);
    if (entry == nullptr) return;
    // What comes through TLS may be any answer: a probe's of 5xx stands.
    const bool failing = entry->state != State::closed && entry->trouble == Trouble::failing;
    const bool unasked = !entry->target.empty();
    if (unasked && !failing) entry->looked_at = clock_.now();
    if (entry->state == State::closed || failing) return;
    if (!unasked && entry->trouble != Trouble::unreachable) return;
    close(*entry, deeds);
  }
  carry_out(std::move(deeds));
}

void Breaker::suspect(const OriginServer& server,
                      std::optional<asio::ip::tcp::endpoint> preferred) {
  Deeds deeds;
  {
    const std::lock_guard lock(mutex_);
    auto& entry = touch(server);
    if (preferred) entry.preferred = preferred;
    const auto now = clock_.now();
    const bool again =
        entry.suspected_at != TimePoint{} && now - entry.suspected_at < options_.suspicion;
    if (entry.state != State::closed || again) return;
    entry.suspected_at = now;
    entry.suspected = true;
    want_probe(entry, deeds);
  }
  carry_out(std::move(deeds));
}

std::optional<Breaker::Probe> Breaker::next_probe(const OriginServer& server, double jitter) {
  const std::lock_guard lock(mutex_);
  auto* entry = find(server);
  if (entry == nullptr) return std::nullopt;
  if (std::exchange(entry->suspected, false)) return Probe{clock_.now(), entry->preferred};
  if (entry->state == State::open && entry->probes >= options_.probes) half_open(*entry);
  if (entry->state != State::open) {
    entry->probing = false;
    return std::nullopt;
  }
  auto pause = options_.first_probe;
  for (unsigned i = 0; i < entry->slowness && pause < options_.longest_probe; ++i) pause *= 2;
  pause = std::min(pause, options_.longest_probe);
  ++entry->probes;
  ++entry->slowness;
  const auto spread = std::chrono::duration_cast<Duration>(pause * (0.8 + 0.4 * jitter));
  entry->next_probe = clock_.now() + spread;
  return Probe{*entry->next_probe, entry->preferred};
}

void Breaker::probed(const OriginServer& server, ProbeFinding finding, const std::string& reason) {
  Deeds deeds;
  {
    const std::lock_guard lock(mutex_);
    if (auto* entry = find(server)) judge(*entry, finding, reason, deeds);
    let_waiters_go(server, deeds);
  }
  carry_out(std::move(deeds));
}

void Breaker::let_waiters_go(const OriginServer& server, Deeds& deeds) {
  const auto [begin, end] = under_way_.equal_range(server);
  for (auto other = begin; other != end; ++other) {
    if (other->second.waits) deeds.sealed.push_back(other->second.fate);
  }
}

/// Of a server that we don't ask ourselves a probe tells all that can be known.
void Breaker::judge_unasked(Entry& entry, ProbeFinding finding, const std::string& reason,
                            Deeds& deeds) {
  const bool as_clients_ask = entry.target.find('?') != std::string::npos;
  const bool down = finding == ProbeFinding::dead ||
                    (finding == ProbeFinding::troubled && as_clients_ask) ||
                    (finding == ProbeFinding::mute && entry.well_at != TimePoint{});
  if (!down) {
    entry.looked_at = clock_.now();
    if (finding != ProbeFinding::mute) entry.well_at = clock_.now();
    return close(entry, deeds);
  }
  if (entry.state == State::open) return;
  open(entry,
       finding == ProbeFinding::troubled ? Trouble::failing
       : finding == ProbeFinding::dead   ? Trouble::unreachable
                                         : Trouble::silent,
       reason, deeds);
}

void Breaker::judge(Entry& entry, ProbeFinding finding, const std::string& reason, Deeds& deeds) {
  const bool troubled = finding == ProbeFinding::troubled;
  const bool well = finding == ProbeFinding::answered || finding == ProbeFinding::reached;
  if (!entry.target.empty()) return judge_unasked(entry, finding, reason, deeds);
  if (entry.state == State::open) {
    if (well && entry.trouble == Trouble::unreachable) return close(entry, deeds);
    if (well || (troubled && entry.trouble != Trouble::failing)) half_open(entry);
  } else if (entry.state == State::closed && !well) {
    open(entry,
         troubled                        ? Trouble::failing
         : finding == ProbeFinding::dead ? Trouble::unreachable
                                         : Trouble::silent,
         reason, deeds);
  }
}

void Breaker::not_probed(const OriginServer& server) {
  Deeds deeds;
  {
    const std::lock_guard lock(mutex_);
    let_waiters_go(server, deeds);
    if (auto* entry = find(server)) {
      entry->probing = entry->suspected = false;
      if (entry->state == State::open) half_open(*entry);
    }
  }
  carry_out(std::move(deeds));
}

Breaker::Entry* Breaker::find(const OriginServer& server) {
  const auto entry = index_.find(server);
  return entry == index_.end() ? nullptr : &*entry->second;
}

const Breaker::Entry* Breaker::find(const OriginServer& server) const {
  const auto entry = index_.find(server);
  return entry == index_.end() ? nullptr : &*entry->second;
}

Breaker::Entry& Breaker::touch(const OriginServer& server) {
  if (const auto known = index_.find(server); known != index_.end()) {
    entries_.splice(entries_.begin(), entries_, known->second);
    return entries_.front();
  }
  if (entries_.size() >= options_.capacity) {
    index_.erase(entries_.back().server);
    entries_.pop_back();
  }
  entries_.push_front(Entry{.server = server});
  index_.emplace(server, entries_.begin());
  return entries_.front();
}

void Breaker::open(Entry& entry, Trouble trouble, std::string reason, Deeds& deeds) {
  const auto now = clock_.now();
  if (entry.state == State::closed) {
    entry.since = clock_.wall();
    const bool relapse = entry.closed_at != TimePoint{} && now - entry.closed_at < options_.relapse;
    if (!relapse) entry.slowness = 0;
  }
  entry.state = State::open;
  entry.trouble = trouble;
  entry.reason = std::move(reason);
  entry.probes = 0;
  entry.trying = false;
  entry.next_probe.reset();
  entry.told = entry.told_at == TimePoint{} || now - entry.told_at >= options_.quiet;
  if (entry.told) {
    entry.told_at = now;
    deeds.line = outage_of(entry).to_string() + "; peers are asked instead, and it is probed";
  }
  const auto [begin, end] = under_way_.equal_range(entry.server);
  for (auto other = begin; other != end; ++other) {
    if (other->second.shares) deeds.sealed.push_back(other->second.fate);
  }
  want_probe(entry, deeds);
}

void Breaker::half_open(Entry& entry) {
  entry.state = State::half_open;
  entry.trying = false;
  entry.next_probe.reset();
}

void Breaker::close(Entry& entry, Deeds& deeds) {
  entry.bad_answers = 0;
  if (entry.state == State::closed) return;
  entry.state = State::closed;
  entry.trying = false;
  entry.next_probe.reset();
  entry.closed_at = clock_.now();
  if (entry.told) deeds.line = entry.server.to_string() + " is back";
}

void Breaker::want_probe(Entry& entry, Deeds& deeds) {
  if (!std::exchange(entry.probing, true)) deeds.probe = entry.server;
}

void Breaker::carry_out(Deeds deeds) {
  if (!deeds.line.empty()) log::info("origin", "{}", deeds.line);
  for (auto& fate : deeds.sealed) {
    const auto executor = fate->executor();
    asio::post(executor, [fate = std::move(fate)] { fate->seal(); });
  }
  if (deeds.probe && start_probing_) start_probing_(*deeds.probe);
}

}  // namespace hagring::registry
