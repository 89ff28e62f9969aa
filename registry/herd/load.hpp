// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>

#include "userspace/base/clock.hpp"

namespace hagring::herd {

/// What a node takes in and whom it feeds, over all its herds: one for all its members, which live
/// on several threads.
class Load {
 public:
  /// So many bytes have come.
  void took(std::uint64_t bytes, TimePoint now);

  /// The share of the most that it ever took in that it doesn't take in now, 0 to 1.
  double idle(TimePoint now);

  /// The most that it took in, in bytes a second.
  std::uint64_t peak() const;

  /// Children of all members together.
  std::size_t children() const;
  void add_child();
  void remove_children(std::size_t count);

 private:
  void close(TimePoint now);

  mutable std::mutex mutex_;
  TimePoint since_{};
  std::uint64_t bytes_ = 0;
  double rate_ = 0;  ///< in the last whole window
  double peak_ = 0;
  std::size_t children_ = 0;
};

}  // namespace hagring::herd
