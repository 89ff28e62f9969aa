// SPDX-License-Identifier: Apache-2.0
#include "registry/connection_slots.hpp"

namespace hagring::registry {

namespace ip = boost::asio::ip;

ip::address unmapped(const ip::address& address) {
  if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
  return ip::make_address_v4(ip::v4_mapped, address.to_v6());
}

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

}  // namespace hagring::registry
