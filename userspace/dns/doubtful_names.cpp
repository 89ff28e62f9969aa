// SPDX-License-Identifier: Apache-2.0
#include "userspace/dns/doubtful_names.hpp"

#include "userspace/base/deadline.hpp"

namespace hagring::dns {
namespace {

/// Long enough for a pull's requests, each of which renews it as containerd asks again.
constexpr auto kDoubt = std::chrono::seconds(60);
/// Mirrored registries are few, but a pattern of theirs may stand for any number of names.
constexpr std::size_t kCapacity = 256;

}  // namespace

void DoubtfulNames::add(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto now = clock_.now();
  if (until_.size() >= kCapacity && !until_.contains(name)) {
    std::erase_if(until_, [&](const auto& entry) { return entry.second <= now; });
    if (until_.size() >= kCapacity) until_.erase(until_.begin());
  }
  until_[name] = now + kDoubt;
}

void DoubtfulNames::remove(const std::string& name) {
  const std::lock_guard lock(mutex_);
  until_.erase(name);
}

bool DoubtfulNames::contains(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = until_.find(name);
  return found != until_.end() && found->second > clock_.now();
}

awaitable<Result<Resolver::Addresses>> ImpatientResolver::resolve(std::string name) {
  if (!doubtful_.contains(name)) co_return co_await resolver_.resolve(std::move(name));
  co_return co_await with_deadline(clock_, options_.limit_if_doubtful,
                                   resolver_.resolve(std::move(name)));
}

}  // namespace hagring::dns
