// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "registry/content_store.hpp"
#include "registry/herd/message.hpp"
#include "userspace/base/bell.hpp"
#include "userspace/base/bytes.hpp"
#include "userspace/base/result.hpp"
#include "userspace/base/unique_fd.hpp"

namespace hagring::herd {

/// What all spools together may take. Any thread may use it.
class SpoolBudget {
 public:
  struct Limits {
    std::uint64_t bytes = std::uint64_t{4} << 30;
    std::size_t files = 256;
    /// What of the disk stays free besides twice the size of all spools (the runtime writes each of
    /// them once more): the larger of both.
    std::uint64_t reserve = std::uint64_t{1} << 30;
    unsigned reserve_percent = 5;
  };
  explicit SpoolBudget(Limits limits) : limits_(limits) {}

  /// Whether there is room for one more of that size, which is then taken.
  bool take(std::uint64_t bytes);
  void give_back(std::uint64_t bytes);
  /// Whether there is.
  bool fits(std::uint64_t bytes) const;

  const Limits& limits() const { return limits_; }
  std::uint64_t bytes() const;
  std::size_t files() const;

 private:
  bool fits_locked(std::uint64_t bytes) const;

  const Limits limits_;
  mutable std::mutex mutex_;
  std::uint64_t bytes_ = 0;
  std::size_t files_ = 0;
};

/// A batch as it goes from node to node; shared by the pieces that it covers and who sends them.
using SharedBytes = std::shared_ptr<const Bytes>;

/// One blob while it arrives: an unlinked file, and which of its pieces are there. One writes, many
/// read, on any threads; those that have to wait are woken by bell(). A piece is for this node's
/// own clients as soon as it is there, and for other nodes once a batch covers it.
class Spool {
 public:
  /// In `folder`, whose disk must have room for it as SpoolBudget::Limits says.
  /// Errors: Errc::too_large (the budget, the disk), or the system's.
  static Result<std::shared_ptr<Spool>> create(const std::filesystem::path& folder,
                                               std::uint64_t size,
                                               std::shared_ptr<SpoolBudget> budget);
  /// Whether create() would find room.
  static bool has_room(const std::filesystem::path& folder, std::uint64_t size,
                       const SpoolBudget& budget);
  Spool(UniqueFd file, std::uint64_t size, std::shared_ptr<SpoolBudget> budget);
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;
  ~Spool();

  std::uint64_t size() const { return size_; }
  std::uint64_t pieces() const { return pieces_of(size_); }
  /// Bytes of a piece.
  std::size_t length_of(std::uint64_t piece) const;

  /// Writes a piece of the right length; one that is there already stays. Errors: Errc::bad_message
  /// (no such piece, or of another length), or the system's, after which nothing more is taken.
  Result<void> put(std::uint64_t piece, ByteView bytes);

  /// `batch` covers `count` pieces of `stripe` from its `first` on.
  void cover(Stripe stripe, std::uint64_t first, std::uint64_t count, const SharedBytes& batch);
  /// The batch that covers a piece; null while there is none.
  SharedBytes batch_of(std::uint64_t piece) const;

  /// No more comes, for this reason. What is there stays.
  void fail(error_code error);
  /// Why no more comes, if that is so.
  error_code failure() const;

  bool has(std::uint64_t piece) const;
  /// Pieces of each stripe from its beginning on, without a gap.
  PerStripe have() const;
  /// The same of those that a batch covers.
  PerStripe covered() const;
  /// Behind the last byte that is there without a gap from `offset` on; looks a few pieces ahead.
  std::uint64_t reached(std::uint64_t offset) const;
  bool whole() const;

  /// Reads what is there from `offset` on; 0 if nothing is. Errors: the system's.
  Result<std::size_t> read(std::uint64_t offset, MutableBytes into) const;

  /// The file, for a spool that is whole. Errors: the system's.
  Result<registry::OpenBlob> open() const;

  Bell& bell() { return bell_; }

 private:
  void advance();

  const UniqueFd file_;
  const std::uint64_t size_;
  const std::shared_ptr<SpoolBudget> budget_;
  Bell bell_;
  mutable std::mutex mutex_;
  std::vector<bool> there_;
  std::vector<SharedBytes> batches_;
  PerStripe have_{};
  PerStripe covered_{};
  std::uint64_t count_ = 0;
  error_code failure_;
};

}  // namespace hagring::herd
