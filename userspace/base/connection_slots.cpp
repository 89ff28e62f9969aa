// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/connection_slots.hpp"

#include <algorithm>

#include "userspace/base/address.hpp"

namespace hagring {

namespace ip = boost::asio::ip;

std::optional<ConnectionSlots::Slot> ConnectionSlots::take(ip::address address,
                                                           OnDisplaced on_displaced) {
  address = source_of(address);
  const bool on_trial = static_cast<bool>(on_displaced);
  std::pair<std::uint64_t, Trial> displaced;
  std::optional<Slot> slot;
  {
    const std::lock_guard lock(mutex_);
    if (full_for(address, on_trial)) {
      const auto loser = oldest_in_the_way_of(address);
      if (loser == trials_.end()) return std::nullopt;
      displaced = {loser->first, std::move(loser->second)};
      trials_.erase(loser);
      count_down(displaced.second.address);
    }
    ++by_address_[address];
    ++taken_;
    const auto id = ++last_id_;
    if (on_trial) trials_.emplace(id, Trial{address, std::move(on_displaced)});
    slot.emplace(Slot(this, id, std::move(address), on_trial));
  }
  if (displaced.second.on_displaced) displaced.second.on_displaced(displaced.first);
  return slot;
}

std::size_t ConnectionSlots::taken() const {
  const std::lock_guard lock(mutex_);
  return taken_;
}

bool ConnectionSlots::Slot::settle() {
  const std::lock_guard lock(slots_->mutex_);
  if (on_trial_ && slots_->trials_.erase(id_) == 0) return false;
  on_trial_ = false;
  return true;
}

bool ConnectionSlots::full_for(const ip::address& address, bool on_trial) const {
  const auto from_address = by_address_.find(address);
  return taken_ >= limit_ || (on_trial && trials_.size() >= limit_on_trial_) ||
         (from_address != by_address_.end() && from_address->second >= limit_per_address_);
}

/// Where the address has no more places, one of its own must go; else any.
ConnectionSlots::Trials::iterator ConnectionSlots::oldest_in_the_way_of(
    const ip::address& address) {
  const auto from_address = by_address_.find(address);
  const bool own = from_address != by_address_.end() && from_address->second >= limit_per_address_;
  return std::ranges::find_if(
      trials_, [&](const auto& entry) { return !own || entry.second.address == address; });
}

void ConnectionSlots::count_down(const ip::address& address) {
  --taken_;
  const auto entry = by_address_.find(address);
  if (--entry->second == 0) by_address_.erase(entry);
}

void ConnectionSlots::release(const Slot& slot) {
  const std::lock_guard lock(mutex_);
  // Who has been displaced has no place to give back.
  if (slot.on_trial_ && trials_.erase(slot.id_) == 0) return;
  count_down(slot.address_);
}

}  // namespace hagring
