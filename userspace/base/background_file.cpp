// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/background_file.hpp"

#include "userspace/base/atomic_file.hpp"
#include "userspace/base/log.hpp"

namespace hagring {
namespace {

constexpr mode_t kMode = 0600;

}  // namespace

BackgroundFile::BackgroundFile(std::filesystem::path path, std::string what, std::string part,
                               std::size_t max_size, std::chrono::milliseconds retry)
    : path_(std::move(path)),
      what_(std::move(what)),
      part_(std::move(part)),
      max_size_(max_size),
      retry_(retry) {
  if (!path_.empty()) writer_ = std::thread([this] { write_all(); });
}

BackgroundFile::~BackgroundFile() { finish(); }

Result<Bytes> BackgroundFile::load() const {
  if (path_.empty()) return Errc::not_found;
  TRY(const auto text, read_small_file(path_, max_size_));
  return Bytes(text.begin(), text.end());
}

void BackgroundFile::save(Bytes content) {
  if (path_.empty()) return;
  const std::lock_guard lock(mutex_);
  waiting_ = std::move(content);
  changed_.notify_one();
}

void BackgroundFile::finish() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_one();
  }
  if (writer_.joinable()) writer_.join();
}

void BackgroundFile::write_all() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return waiting_ || ending_; });
    if (!waiting_) return;
    Bytes content = *std::exchange(waiting_, std::nullopt);
    lock.unlock();
    const bool written = write(content);
    lock.lock();
    if (written || ending_ || waiting_) continue;
    const bool newer = changed_.wait_for(lock, retry_, [this] { return waiting_ || ending_; });
    if (!newer) waiting_ = std::move(content);
  }
}

bool BackgroundFile::write(const Bytes& content) {
  const auto written = write_file_atomically(path_, as_text(content), kMode);
  if (written) return true;
  log::warning(part_, "{}: {} can't be kept over a restart: {}", path_.string(), what_,
               written.error().message());
  return false;
}

}  // namespace hagring
