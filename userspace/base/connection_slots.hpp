// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/address.hpp>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace hagring {

/// Limits how many connections there are at a time, in all and from one address. Safe from any
/// thread.
class ConnectionSlots {
 public:
  /// One connection's place, given back by the destructor. Must not outlive its ConnectionSlots.
  class Slot {
   public:
    Slot(Slot&& other) noexcept
        : slots_(std::exchange(other.slots_, nullptr)), address_(other.address_) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot() {
      if (slots_) slots_->release(address_);
    }

   private:
    friend class ConnectionSlots;
    Slot(ConnectionSlots* slots, boost::asio::ip::address address)
        : slots_(slots), address_(std::move(address)) {}
    ConnectionSlots* slots_;
    boost::asio::ip::address address_;
  };

  ConnectionSlots(std::size_t limit, std::size_t limit_per_address)
      : limit_(limit), limit_per_address_(limit_per_address) {}

  /// nullopt when there is no place for another one from `address`.
  std::optional<Slot> take(boost::asio::ip::address address);
  std::size_t taken() const;

 private:
  void release(const boost::asio::ip::address& address);

  const std::size_t limit_;
  const std::size_t limit_per_address_;
  mutable std::mutex mutex_;
  std::size_t taken_ = 0;
  std::map<boost::asio::ip::address, std::size_t> by_address_;
};

}  // namespace hagring
