// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/spool.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "userspace/base/read_at.hpp"

namespace hagring::herd {
namespace {

/// How far ahead reached() looks.
constexpr std::uint64_t kLookAhead = 16;

/// Takes back what a budget has given unless a spool has taken it over.
class Taken {
 public:
  Taken(SpoolBudget& budget, std::uint64_t bytes) : budget_(&budget), bytes_(bytes) {}
  Taken(const Taken&) = delete;
  Taken& operator=(const Taken&) = delete;
  ~Taken() {
    if (budget_ != nullptr) budget_->give_back(bytes_);
  }
  void release() { budget_ = nullptr; }

 private:
  SpoolBudget* budget_;
  const std::uint64_t bytes_;
};

/// `bytes`: of all spools together. `limits` says what has to stay free besides.
bool disk_has_room(const std::filesystem::path& folder, std::uint64_t bytes,
                   const SpoolBudget::Limits& limits) {
  struct statvfs disk{};
  if (::statvfs(folder.c_str(), &disk) != 0) return false;
  const auto free = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  const auto share = std::uint64_t{disk.f_blocks} * disk.f_frsize / 100 * limits.reserve_percent;
  const auto reserve = std::max(limits.reserve, share);
  return free >= reserve && (free - reserve) / 2 >= bytes;
}

/// An unlinked file. Not all file systems have O_TMPFILE.
Result<UniqueFd> make_file(const std::filesystem::path& folder) {
  UniqueFd file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file) return file;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) return last_system_error();
  auto name = (folder / "spool-XXXXXX").string();
  file.reset(::mkostemp(name.data(), O_CLOEXEC));
  if (!file) return last_system_error();
  ::unlink(name.c_str());
  return file;
}

Result<void> write_at(int file, ByteView bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const auto done = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return last_system_error();
    if (done == 0) return Errc::truncated;
    bytes = bytes.subspan(static_cast<std::size_t>(done));
    offset += static_cast<std::uint64_t>(done);
  }
  return {};
}

}  // namespace

bool SpoolBudget::take(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (!fits_locked(bytes)) return false;
  ++files_;
  bytes_ += bytes;
  return true;
}

bool SpoolBudget::fits(std::uint64_t bytes) const {
  const std::lock_guard lock(mutex_);
  return fits_locked(bytes);
}

bool SpoolBudget::fits_locked(std::uint64_t bytes) const {
  return files_ < limits_.files && bytes <= limits_.bytes - std::min(bytes_, limits_.bytes);
}

void SpoolBudget::give_back(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  --files_;
  bytes_ -= bytes;
}

std::uint64_t SpoolBudget::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

std::size_t SpoolBudget::files() const {
  const std::lock_guard lock(mutex_);
  return files_;
}

Result<std::shared_ptr<Spool>> Spool::create(const std::filesystem::path& folder,
                                             std::uint64_t size,
                                             std::shared_ptr<SpoolBudget> budget) {
  if (size > kMaxBlob || !budget->take(size)) return Errc::too_large;
  Taken taken(*budget, size);
  if (!disk_has_room(folder, budget->bytes(), budget->limits())) return Errc::too_large;
  TRY(auto file, make_file(folder));
  // To note when it is read, a thread would wait for a busy disk's journal; where that can't be
  // asked for it does.
  ::fcntl(file.get(), F_SETFL, O_NOATIME);
  taken.release();
  return std::make_shared<Spool>(std::move(file), size, std::move(budget));
}

bool Spool::has_room(const std::filesystem::path& folder, std::uint64_t size,
                     const SpoolBudget& budget) {
  return size <= kMaxBlob && budget.fits(size) &&
         disk_has_room(folder, budget.bytes() + size, budget.limits());
}

Spool::Spool(UniqueFd file, std::uint64_t size, std::shared_ptr<SpoolBudget> budget)
    : file_(std::move(file)),
      size_(size),
      budget_(std::move(budget)),
      there_(pieces()),
      batches_(pieces()) {}

Spool::~Spool() { budget_->give_back(size_); }

std::size_t Spool::length_of(std::uint64_t piece) const {
  return static_cast<std::size_t>(std::min(kPieceSize, size_ - piece * kPieceSize));
}

Result<void> Spool::put(std::uint64_t piece, ByteView bytes) {
  if (piece >= pieces() || bytes.size() != length_of(piece)) return Errc::bad_message;
  {
    const std::lock_guard lock(mutex_);
    if (failure_) return failure_;
    if (there_[piece]) return {};
  }
  // Nobody else writes, and nobody reads it before it is said to be there.
  const auto written = write_at(file_.get(), bytes, piece * kPieceSize);
  if (!written) {
    fail(written.error());
    return written;
  }
  {
    const std::lock_guard lock(mutex_);
    there_[piece] = true;
    ++count_;
    advance();
  }
  bell_.ring();
  return {};
}

/// Under the lock.
void Spool::advance() {
  for (std::size_t s = 0; s < kStripes; ++s) {
    const auto stripe = static_cast<Stripe>(s);
    const auto end = pieces_in(stripe, pieces());
    while (have_[s] < end && there_[piece_number(stripe, have_[s])]) ++have_[s];
    while (covered_[s] < have_[s] && batches_[piece_number(stripe, covered_[s])]) ++covered_[s];
  }
}

void Spool::cover(Stripe stripe, std::uint64_t first, std::uint64_t count,
                  const SharedBytes& batch) {
  const auto before = covered();
  {
    const std::lock_guard lock(mutex_);
    const auto end = pieces_in(stripe, pieces());
    for (auto index = first; index < end && index - first < count; ++index) {
      auto& known = batches_[piece_number(stripe, index)];
      if (!known) known = batch;
    }
    advance();
  }
  // Of pieces that aren't there yet nobody has anything.
  if (covered() != before) bell_.ring();
}

SharedBytes Spool::batch_of(std::uint64_t piece) const {
  const std::lock_guard lock(mutex_);
  return piece < batches_.size() ? batches_[piece] : nullptr;
}

void Spool::fail(error_code error) {
  {
    const std::lock_guard lock(mutex_);
    if (failure_ || count_ == pieces()) return;
    failure_ = error;
  }
  bell_.ring();
}

error_code Spool::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

bool Spool::has(std::uint64_t piece) const {
  const std::lock_guard lock(mutex_);
  return piece < there_.size() && there_[piece];
}

PerStripe Spool::have() const {
  const std::lock_guard lock(mutex_);
  return have_;
}

PerStripe Spool::covered() const {
  const std::lock_guard lock(mutex_);
  return covered_;
}

std::uint64_t Spool::reached(std::uint64_t offset) const {
  const std::lock_guard lock(mutex_);
  auto piece = offset / kPieceSize;
  const auto end = std::min<std::uint64_t>(piece + kLookAhead, there_.size());
  if (piece >= end || !there_[piece]) return offset;
  while (piece < end && there_[piece]) ++piece;
  return std::min(piece * kPieceSize, size_);
}

bool Spool::whole() const {
  const std::lock_guard lock(mutex_);
  return count_ == pieces();
}

Result<std::size_t> Spool::read(std::uint64_t offset, MutableBytes into) const {
  const auto most = std::min<std::uint64_t>(into.size(), reached(offset) - offset);
  TRY(const auto done, read_at(file_.get(), offset, into.first(static_cast<std::size_t>(most))));
  if (done < most) return Errc::truncated;
  return done;
}

Result<registry::OpenBlob> Spool::open() const {
  UniqueFd copy(::fcntl(file_.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return last_system_error();
  return registry::OpenBlob{std::move(copy), size_};
}

}  // namespace hagring::herd
