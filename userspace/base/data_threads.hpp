// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <thread>
#include <vector>

namespace hagring {

/// A small pool of threads, each with an io_context of its own; a connection lives on one of them
/// from accept to close, so the data path takes no locks.
class DataThreads {
 public:
  /// Starts `count` (at least one) threads named `name`-0, `name`-1, ….
  DataThreads(std::size_t count, const std::string& name);
  /// Joins; what runs on the threads must have been drained before.
  ~DataThreads();

  /// Stops the contexts and waits until the threads have ended; whatever was used on them may be
  /// destroyed from then on. More than once is harmless.
  void join();

  std::size_t size() const { return threads_.size(); }
  boost::asio::io_context& at(std::size_t index) { return threads_[index]->context; }

 private:
  struct Thread {
    boost::asio::io_context context{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
        context.get_executor()};
    std::thread thread;
  };
  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace hagring
