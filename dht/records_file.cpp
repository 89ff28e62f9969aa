// SPDX-License-Identifier: Apache-2.0
#include "dht/records_file.hpp"

#include "userspace/base/atomic_file.hpp"
#include "userspace/base/log.hpp"

namespace hagring::dht {
namespace {

/// 400,000 records (kad::ProviderStoreOptions) take about 40 MB.
constexpr std::size_t kMaxSize = std::size_t{256} << 20;
constexpr mode_t kMode = 0600;

}  // namespace

RecordsFile::RecordsFile(std::filesystem::path path) : path_(std::move(path)) {
  if (!path_.empty()) writer_ = std::thread([this] { write_all(); });
}

RecordsFile::~RecordsFile() { finish(); }

Result<Bytes> RecordsFile::load() const {
  if (path_.empty()) return Errc::not_found;
  TRY(const auto text, read_small_file(path_, kMaxSize));
  return Bytes(text.begin(), text.end());
}

void RecordsFile::save(Bytes snapshot) {
  if (path_.empty()) return;
  const std::lock_guard lock(mutex_);
  waiting_ = std::move(snapshot);
  changed_.notify_one();
}

void RecordsFile::finish() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_one();
  }
  if (writer_.joinable()) writer_.join();
}

void RecordsFile::write_all() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return waiting_ || ending_; });
    if (!waiting_) return;
    const Bytes snapshot = *std::exchange(waiting_, std::nullopt);
    lock.unlock();
    write(snapshot);
    lock.lock();
  }
}

void RecordsFile::write(const Bytes& snapshot) {
  const auto written = write_file_atomically(path_, as_text(snapshot), kMode);
  if (written) return;
  log::warning("dht", "{}: provider records can't be kept over a restart: {}", path_.string(),
               written.error().message());
}

}  // namespace hagring::dht
