// SPDX-License-Identifier: Apache-2.0
#include "registry/first_byte_times.hpp"

#include <algorithm>
#include <functional>
#include <vector>

namespace hagring::registry {

void FirstByteTimes::note(const std::string& peer, Duration took) {
  const auto hash = std::hash<std::string>()(peer);
  const std::lock_guard lock(mutex_);
  answers_.push_back({hash, took});
  if (answers_.size() > options_.remembered) answers_.pop_front();
}

Duration FirstByteTimes::patience(const std::string& peer) const {
  const auto hash = std::hash<std::string>()(peer);
  std::vector<Duration> fellows;
  fellows.reserve(options_.remembered);
  {
    const std::lock_guard lock(mutex_);
    for (const auto& answer : answers_) {
      if (answer.peer != hash) fellows.push_back(answer.took);
    }
  }
  if (fellows.size() < options_.enough) return options_.unknown;
  const auto rank = static_cast<double>(fellows.size()) * options_.usual;
  const auto place = std::min(static_cast<std::size_t>(rank), fellows.size() - 1);
  const auto usual = fellows.begin() + static_cast<std::ptrdiff_t>(place);
  std::nth_element(fellows.begin(), usual, fellows.end());
  return std::max(*usual, options_.least);
}

void FirstByteTimes::count_hedge(bool won) {
  const std::lock_guard lock(mutex_);
  ++counters_.hedges;
  if (won) ++counters_.won;
}

FirstByteTimes::Counters FirstByteTimes::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

}  // namespace hagring::registry
