// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/data_threads.hpp"

#include <pthread.h>

#include <algorithm>
#include <string>

#include "userspace/base/alarm.hpp"

namespace hagring {

DataThreads::DataThreads(std::size_t count, const std::string& name) {
  for (std::size_t i = 0; i < std::max<std::size_t>(count, 1); ++i) {
    auto& thread = *threads_.emplace_back(std::make_unique<Thread>());
    leave_alarms_set(thread.context);
    thread.thread = std::thread([&context = thread.context] { context.run(); });
    // The kernel keeps 15 characters (pthread_setname_np(3)).
    pthread_setname_np(thread.thread.native_handle(),
                       (name + "-" + std::to_string(i)).substr(0, 15).c_str());
  }
}

DataThreads::~DataThreads() { join(); }

void DataThreads::join() {
  for (auto& thread : threads_) thread->context.stop();
  for (auto& thread : threads_) {
    if (thread->thread.joinable()) thread->thread.join();
  }
}

}  // namespace hagring
