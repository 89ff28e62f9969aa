// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>

#include "userspace/base/asio.hpp"
#include "userspace/base/clock.hpp"

namespace hagring {

/// Calls a function at some time by the machine's clock, unless it has gone by then. All alarms of
/// a context share one timer, which is not set again for one that comes later than another. Used
/// from one thread, the only one that runs the executor's context; may outlive neither.
class Alarm {
 public:
  /// `ring` is called from the context's loop; the alarm may go in it.
  Alarm(const asio::any_io_executor& executor, TimePoint when, std::function<void()> ring);
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;
  ~Alarm();

 private:
  friend class Alarms;
  class Alarms& alarms_;
  std::function<void()> ring_;
  std::multimap<TimePoint, Alarm*>::iterator place_;
  bool has_rung_ = false;
};

/// From now on the timer of the context's alarms may stay set though none is left, so that limits
/// that are hardly ever reached cost no system calls: for a context that is stopped, not one that
/// runs until it is out of work, which would be held up.
void leave_alarms_set(asio::execution_context& context);

}  // namespace hagring
