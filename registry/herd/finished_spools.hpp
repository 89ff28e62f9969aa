// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>

#include "registry/herd/spool.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::herd {

/// Blobs that are whole and verified and that the runtime hasn't committed yet: until then this
/// node's clients and other nodes get them from here. Any thread may use it.
class FinishedSpools {
 public:
  /// None is kept longer than `age`.
  FinishedSpools(Clock& clock, Duration age) : clock_(clock), age_(age) {}

  void keep(const Digest& digest, std::shared_ptr<Spool> spool);
  /// The runtime has it now.
  void committed(const Digest& digest);
  /// Errors: Errc::not_found, or the system's.
  Result<registry::OpenBlob> open(const Digest& digest);
  std::size_t size() const;
  /// Lets go of those that are too old.
  void sweep();

 private:
  struct Kept {
    std::shared_ptr<Spool> spool;
    TimePoint until;
  };
  Clock& clock_;
  const Duration age_;
  mutable std::mutex mutex_;
  std::map<Digest, Kept> kept_;
};

/// A content store that has these as well.
class StoreWithSpools final : public registry::ContentStore {
 public:
  /// Both outlive it.
  StoreWithSpools(registry::ContentStore& store, FinishedSpools& spools)
      : store_(store), spools_(spools) {}

  awaitable<Result<registry::OpenBlob>> open(Digest digest) override;
  awaitable<Result<registry::Descriptor>> resolve(std::string name) override {
    return store_.resolve(std::move(name));
  }
  awaitable<Result<std::vector<registry::ContentSource>>> sources(Digest digest) override;
  awaitable<Result<void>> abort_ingest(Digest digest) override {
    return store_.abort_ingest(std::move(digest));
  }

 private:
  registry::ContentStore& store_;
  FinishedSpools& spools_;
};

}  // namespace hagring::herd
