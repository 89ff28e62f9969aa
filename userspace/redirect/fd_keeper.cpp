// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/fd_keeper.hpp"

#include <fmt/core.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "userspace/base/result.hpp"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif

namespace hagring::redirect {
namespace {

/// Closes the descriptors from `first` to `last` of the calling thread's table; 0, or errno.
int close_numbers(unsigned first, unsigned last, unsigned flags) {
  return ::syscall(SYS_close_range, first, last, flags) == 0 ? 0 : errno;
}

/// Gives the calling thread a table of its own, of the process's descriptors below 3 and those of
/// `kept`, which is sorted.
int own_table(const std::vector<int>& kept) {
  // In this order, since what lies above isn't even copied: others may have high numbers.
  const unsigned end = kept.empty() ? 3 : static_cast<unsigned>(kept.back()) + 1;
  int error = close_numbers(end, ~0U, CLOSE_RANGE_UNSHARE);
  unsigned from = 3;
  for (const int fd : kept) {
    const auto number = static_cast<unsigned>(fd);
    if (error == 0 && number > from) error = close_numbers(from, number - 1, 0);
    from = std::max(from, number + 1);
  }
  return error;
}

/// Blocks all signals on this thread, and on those that it starts, for as long as it lives.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

FdKeeper::FdKeeper(std::vector<int> inherited) {
  std::sort(inherited.begin(), inherited.end());
  {
    // A signal that the kernel gave to this thread would be lost: Asio's handler writes to a pipe,
    // which isn't among the thread's descriptors.
    const SignalsBlocked blocked;
    thread_ = std::thread([this, inherited = std::move(inherited)] { serve(inherited); });
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ready_; });
  if (failure_ == 0) return;
  lock.unlock();
  thread_.join();
  throw StartError(
      fmt::format("a thread could not be given descriptors of its own: {}; Linux 5.9 "
                  "or later is needed (close_range)",
                  std::strerror(failure_)));
}

FdKeeper::~FdKeeper() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void FdKeeper::run(const std::function<void()>& task) {
  std::unique_lock lock(mutex_);
  task_ = &task;
  changed_.notify_all();
  changed_.wait(lock, [this] { return task_ == nullptr; });
}

void FdKeeper::serve(std::vector<int> inherited) {
  ::pthread_setname_np(::pthread_self(), "hook-keeper");
  // On a busy machine it must be among the first to run when the process is killed. Without
  // CAP_SYS_NICE it takes its turn.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), -20);
  std::unique_lock lock(mutex_);
  failure_ = own_table(inherited);
  ready_ = true;
  changed_.notify_all();
  while (failure_ == 0) {
    changed_.wait(lock, [this] { return task_ != nullptr || stop_; });
    if (stop_) return;
    (*task_)();
    task_ = nullptr;
    changed_.notify_all();
  }
}

}  // namespace hagring::redirect
