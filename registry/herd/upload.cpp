// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/upload.hpp"

#include <algorithm>
#include <cmath>

#include "registry/herd/herd_id.hpp"

namespace hagring::herd {
namespace {

/// Of a node that hasn't streamed anything yet: 100 Mbit/s.
constexpr double kUnknownIntake = 12.5e6;
/// A child takes one of the stripes.
constexpr double kHalves = 2;
/// A rate is measured over so long: a parent that has a limit sends a burst first.
constexpr auto kWindow = std::chrono::seconds(1);

Duration time_of(std::uint64_t bytes, std::uint64_t limit) {
  const std::chrono::duration<double> time(static_cast<double>(bytes) / static_cast<double>(limit));
  // Up: a turn never comes too early.
  return std::chrono::ceil<Duration>(time);
}

}  // namespace

std::uint64_t Upload::burst() const { return std::max(2 * kPieceSize, limit_ / 10); }

Duration Upload::take_turn(std::uint64_t bytes, TimePoint now) {
  if (limit_ == 0) return Duration::zero();
  const std::lock_guard lock(mutex_);
  booked_ = std::max(booked_, now - time_of(burst(), limit_)) + time_of(bytes, limit_);
  return std::max(booked_ - now, Duration::zero());
}

void Upload::give_back(std::uint64_t bytes) {
  if (limit_ == 0) return;
  const std::lock_guard lock(mutex_);
  booked_ -= time_of(bytes, limit_);
}

void Upload::streamed(std::uint64_t bytes, TimePoint now) {
  if (limit_ == 0) return;
  const std::lock_guard lock(mutex_);
  if (now - since_ >= kWindow) {
    // A window that has pauses in it says too little: no peak comes of it.
    const double seconds = std::chrono::duration<double>(now - since_).count();
    peak_ = std::max(peak_, static_cast<double>(streamed_) / seconds);
    since_ = now;
    streamed_ = 0;
  }
  streamed_ += bytes;
}

Upload::Share Upload::share() const {
  if (limit_ == 0) return {};
  const std::lock_guard lock(mutex_);
  const double half = (peak_ > 0 ? peak_ : kUnknownIntake) / kHalves;
  const double units = std::round(static_cast<double>(limit_) / half);
  // Slow ones feed only such as are slow, too.
  if (units < 1) return {.units = 1, .slow = true};
  return {.units = static_cast<std::uint8_t>(std::min(units, kHalves))};
}

}  // namespace hagring::herd
