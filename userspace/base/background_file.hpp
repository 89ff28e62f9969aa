// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "userspace/base/bytes.hpp"
#include "userspace/base/result.hpp"

namespace hagring {

/// A file in which something is kept over a restart, replaced as a whole, mode 0600. Written by a
/// thread of its own, since a busy disk can hold a writer up for seconds, and what waits on the
/// control thread would stop the agent's heart.
class BackgroundFile {
 public:
  /// An empty path: nothing is kept. `what` and `part` are for the log: "provider records", "dht".
  BackgroundFile(std::filesystem::path path, std::string what, std::string part,
                 std::size_t max_size, std::chrono::milliseconds retry = std::chrono::seconds(30));
  /// Writes what is still to be written.
  ~BackgroundFile();

  /// What was saved last. Errors: Errc::not_found, Errc::too_large, or the system's.
  Result<Bytes> load() const;
  /// Writes `content` soon; one that still waits is replaced. A failure is logged,
  /// and tried again after `retry`, until finish().
  void save(Bytes content);
  /// Waits until all is written; nothing is saved afterwards.
  void finish();

  const std::filesystem::path& path() const { return path_; }

 private:
  void write_all();
  /// Whether it could.
  bool write(const Bytes& content);

  const std::filesystem::path path_;
  const std::string what_;
  const std::string part_;
  const std::size_t max_size_;
  const std::chrono::milliseconds retry_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Bytes> waiting_;
  bool ending_ = false;
  std::thread writer_;
};

}  // namespace hagring
