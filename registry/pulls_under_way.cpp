// SPDX-License-Identifier: Apache-2.0
#include "registry/pulls_under_way.hpp"

namespace hagring::registry {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

double rate(std::uint64_t bytes, Duration time) {
  return static_cast<double>(bytes) / std::chrono::duration<double>(time).count();
}

}  // namespace

PullsUnderWay::Entry::Entry(PullsUnderWay& all, const Pull& pull)
    : all_(all), pull_(pull), shown_{.pull = pull}, marked_at_(pull.begin) {
  make_showable(shown_.pull);
  const std::lock_guard lock(all_.mutex_);
  place_ = all_.entries_.insert(all_.entries_.end(), this);
}

PullsUnderWay::Entry::~Entry() {
  const std::lock_guard lock(all_.mutex_);
  all_.entries_.erase(place_);
}

void PullsUnderWay::Entry::begun(std::uint64_t first, std::optional<std::uint64_t> length) {
  const std::lock_guard lock(all_.mutex_);
  shown_.first = first;
  shown_.length = length;
  shown_.pull.status = pull_.status;
  shown_.pull.source = pull_.source;
  marked_at_ = all_.clock_.now();
}

void PullsUnderWay::Entry::update() {
  bytes_.store(pull_.bytes, kRelaxed);
  const auto now = all_.clock_.now();
  const bool due = now - marked_at_ >= kRateInterval;
  const bool other_source = shown_.pull.source != pull_.source || shown_.pull.peers != pull_.peers;
  if (!due && !other_source) return;
  const std::lock_guard lock(all_.mutex_);
  if (other_source) {
    shown_.pull.source = pull_.source;
    shown_.pull.peers = pull_.peers;
    make_showable(shown_.pull);
  }
  if (!due) return;
  shown_.bytes_per_second = rate(pull_.bytes - marked_bytes_, now - marked_at_);
  marked_bytes_ = pull_.bytes;
  marked_at_ = now;
}

PullUnderWay PullsUnderWay::Entry::snapshot(TimePoint now) const {
  auto shown = shown_;
  shown.pull.bytes = bytes_.load(kRelaxed);
  shown.age = now - shown.pull.begin;
  // A source that has fallen silent marks nothing any more.
  const auto silent = now - marked_at_;
  if (shown.pull.status != 0 && silent >= 2 * kRateInterval) {
    shown.bytes_per_second = rate(shown.pull.bytes - marked_bytes_, silent);
  }
  return shown;
}

std::array<std::size_t, kPullSources> PullsUnderWay::counts() const {
  std::array<std::size_t, kPullSources> counts{};
  const std::lock_guard lock(mutex_);
  for (const auto* entry : entries_) {
    ++counts[static_cast<std::size_t>(entry->shown_.pull.source)];
  }
  return counts;
}

std::vector<PullUnderWay> PullsUnderWay::oldest(std::size_t most) const {
  std::vector<PullUnderWay> all;
  const auto now = clock_.now();
  const std::lock_guard lock(mutex_);
  for (const auto* entry : entries_) {
    if (all.size() == most) break;
    all.push_back(entry->snapshot(now));
  }
  return all;
}

}  // namespace hagring::registry
