// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/finished_spools.hpp"

namespace hagring::herd {

void FinishedSpools::keep(const Digest& digest, std::shared_ptr<Spool> spool) {
  const std::lock_guard lock(mutex_);
  kept_.insert_or_assign(digest, Kept{std::move(spool), clock_.now() + age_});
}

void FinishedSpools::committed(const Digest& digest) {
  const std::lock_guard lock(mutex_);
  kept_.erase(digest);
}

Result<registry::OpenBlob> FinishedSpools::open(const Digest& digest) {
  std::shared_ptr<Spool> spool;
  {
    const std::lock_guard lock(mutex_);
    const auto found = kept_.find(digest);
    if (found == kept_.end()) return Errc::not_found;
    spool = found->second.spool;
  }
  return spool->open();
}

std::size_t FinishedSpools::size() const {
  const std::lock_guard lock(mutex_);
  return kept_.size();
}

void FinishedSpools::sweep() {
  const std::lock_guard lock(mutex_);
  const auto now = clock_.now();
  std::erase_if(kept_, [now](const auto& entry) { return entry.second.until <= now; });
}

awaitable<Result<registry::OpenBlob>> StoreWithSpools::open(Digest digest) {
  auto blob = co_await store_.open(digest);
  if (blob || is_cancelled(blob.error())) co_return blob;
  auto spooled = spools_.open(digest);
  if (spooled) co_return spooled;
  co_return blob;
}

/// What is here alone came through this mirror: its mark says all there is to say.
awaitable<Result<std::vector<registry::ContentSource>>> StoreWithSpools::sources(Digest digest) {
  auto known = co_await store_.sources(digest);
  if (known.has_error() && known.error() == Errc::not_found && spools_.open(digest)) {
    co_return std::vector<registry::ContentSource>();
  }
  co_return known;
}

}  // namespace hagring::herd
