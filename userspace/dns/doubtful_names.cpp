// SPDX-License-Identifier: Apache-2.0
#include "userspace/dns/doubtful_names.hpp"

#include "userspace/base/deadline.hpp"
#include "userspace/base/own_trouble.hpp"

namespace hagring::dns {
namespace {

/// Long enough for a pull's requests, each of which renews it as containerd asks again.
constexpr auto kDoubt = std::chrono::seconds(60);
/// Mirrored registries are few, but a pattern of theirs may stand for any number of names.
constexpr std::size_t kCapacity = 256;

}  // namespace

void DoubtfulNames::add(const std::string& name, std::optional<Duration> limit) {
  const std::lock_guard lock(mutex_);
  const auto now = clock_.now();
  if (doubts_.size() >= kCapacity && !doubts_.contains(name)) {
    std::erase_if(doubts_, [&](const auto& entry) { return entry.second.until <= now; });
    if (doubts_.size() >= kCapacity) doubts_.erase(doubts_.begin());
  }
  doubts_[name] = {now + kDoubt, limit};
}

void DoubtfulNames::remove(const std::string& name) {
  const std::lock_guard lock(mutex_);
  doubts_.erase(name);
}

std::optional<DoubtfulNames::Doubt> DoubtfulNames::find(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = doubts_.find(name);
  if (found == doubts_.end() || found->second.until <= clock_.now()) return std::nullopt;
  return found->second;
}

awaitable<Result<Resolver::Addresses>> ImpatientResolver::resolve(std::string name) {
  const auto doubt = doubtful_.find(name);
  if (!doubt) co_return co_await resolver_.resolve(std::move(name));
  const auto limit = doubt->limit.value_or(options_.limit_if_failed);
  auto addresses = co_await with_deadline(clock_, limit, resolver_.resolve(std::move(name)));
  if (!addresses && addresses.error() == Errc::timed_out && !doubt->limit) {
    co_return OwnErrc::cut_short;
  }
  co_return std::move(addresses);
}

}  // namespace hagring::dns
