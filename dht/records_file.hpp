// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>

#include "userspace/base/bytes.hpp"
#include "userspace/base/result.hpp"

namespace hagring::dht {

/// The file in which a node keeps its provider records over a restart. Written by a thread of its
/// own, since a busy disk can hold a writer up for seconds, and what waits here would stop the
/// agent's heart.
class RecordsFile {
 public:
  /// An empty path: nothing is kept.
  explicit RecordsFile(std::filesystem::path path);
  /// Writes what is still to be written.
  ~RecordsFile();

  /// What was saved last. Errors: Errc::not_found, Errc::too_large, or the system's.
  Result<Bytes> load() const;
  /// Writes `snapshot` soon; one that still waits is replaced. A failure is logged.
  void save(Bytes snapshot);
  /// Waits until all is written; nothing is saved afterwards.
  void finish();

  const std::filesystem::path& path() const { return path_; }

 private:
  void write_all();
  void write(const Bytes& snapshot);

  const std::filesystem::path path_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Bytes> waiting_;
  bool ending_ = false;
  std::thread writer_;
};

}  // namespace hagring::dht
