// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace hagring::redirect {

/// A thread with a table of descriptors of its own, for descriptors that must be closed at once
/// when the process is killed.
///
/// When a process dies the kernel frees its memory first and closes its descriptors afterwards,
/// milliseconds later; until then the hook would lead new connections to a listener that nobody
/// serves any more. A thread that shares its memory but not its descriptors has nothing to free
/// first (kernel/exit.c, do_exit(): exit_mm() before exit_files()).
class FdKeeper {
 public:
  /// Starts the thread. Of the process's present descriptors its table holds those in `inherited`
  /// and the standard ones. Throws StartError.
  explicit FdKeeper(std::vector<int> inherited);
  /// Ends the thread, which closes what it still holds.
  ~FdKeeper();
  FdKeeper(const FdKeeper&) = delete;
  FdKeeper& operator=(const FdKeeper&) = delete;

  /// Runs `task` on the thread and waits for its end: descriptors that it opens are the thread's,
  /// and have no meaning elsewhere. May be called from any other thread, one at a time.
  void run(const std::function<void()>& task);

 private:
  void serve(std::vector<int> inherited);

  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void()>* task_ = nullptr;
  bool ready_ = false;
  bool stop_ = false;
  int failure_ = 0;
  std::thread thread_;
};

}  // namespace hagring::redirect
