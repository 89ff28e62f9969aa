// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/load.hpp"

#include <algorithm>

namespace hagring::herd {
namespace {

constexpr auto kWindow = std::chrono::milliseconds(50);

}  // namespace

/// Under the lock.
void Load::close(TimePoint now) {
  if (now - since_ < kWindow) return;
  // A window that was long over when somebody looked says nothing about a peak.
  const double seconds = std::chrono::duration<double>(now - since_).count();
  rate_ = static_cast<double>(bytes_) / seconds;
  peak_ = std::max(peak_, rate_);
  since_ = now;
  bytes_ = 0;
}

void Load::took(std::uint64_t bytes, TimePoint now) {
  const std::lock_guard lock(mutex_);
  close(now);
  bytes_ += bytes;
}

double Load::idle(TimePoint now) {
  const std::lock_guard lock(mutex_);
  close(now);
  return peak_ == 0 ? 0 : std::clamp(1 - rate_ / peak_, 0.0, 1.0);
}

std::uint64_t Load::peak() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::uint64_t>(peak_);
}

std::size_t Load::children() const {
  const std::lock_guard lock(mutex_);
  return children_;
}

void Load::add_child() {
  const std::lock_guard lock(mutex_);
  ++children_;
}

void Load::remove_children(std::size_t count) {
  const std::lock_guard lock(mutex_);
  children_ -= count;
}

}  // namespace hagring::herd
