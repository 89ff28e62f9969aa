// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/connection_slots.hpp"

#include "userspace/base/address.hpp"

namespace hagring {

namespace ip = boost::asio::ip;

std::optional<ConnectionSlots::Slot> ConnectionSlots::take(ip::address address) {
  address = unmapped(address);
  const std::lock_guard lock(mutex_);
  if (taken_ >= limit_) return std::nullopt;
  auto& from_address = by_address_[address];
  if (from_address >= limit_per_address_) return std::nullopt;
  ++from_address;
  ++taken_;
  return Slot(this, std::move(address));
}

std::size_t ConnectionSlots::taken() const {
  const std::lock_guard lock(mutex_);
  return taken_;
}

void ConnectionSlots::release(const ip::address& address) {
  const std::lock_guard lock(mutex_);
  --taken_;
  const auto entry = by_address_.find(address);
  if (--entry->second == 0) by_address_.erase(entry);
}

}  // namespace hagring
