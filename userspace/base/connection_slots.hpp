// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace hagring {

/// Limits how many connections there are at a time: in all, from one source (source_of()), and on
/// trial, as a connection may be at first. When there is no place left, a newcomer gets that of the
/// one that has been on trial for longest, so that strangers who only connect and stall keep nobody
/// out. Safe from any thread.
class ConnectionSlots {
 public:
  /// Called with the ID of a connection that has lost its place and must end; on the newcomer's
  /// thread.
  using OnDisplaced = std::function<void(std::uint64_t id)>;

  /// One connection's place, given back by the destructor. Must not outlive its ConnectionSlots.
  class Slot {
   public:
    Slot(Slot&& other) noexcept
        : slots_(std::exchange(other.slots_, nullptr)),
          id_(other.id_),
          address_(other.address_),
          on_trial_(other.on_trial_) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot() {
      if (slots_) slots_->release(*this);
    }

    std::uint64_t id() const { return id_; }
    /// Ends the trial. False: the place has just been lost.
    bool settle();

   private:
    friend class ConnectionSlots;
    Slot(ConnectionSlots* slots, std::uint64_t id, boost::asio::ip::address address, bool on_trial)
        : slots_(slots), id_(id), address_(std::move(address)), on_trial_(on_trial) {}
    ConnectionSlots* slots_;
    std::uint64_t id_;
    boost::asio::ip::address address_;
    bool on_trial_;
  };

  ConnectionSlots(std::size_t limit, std::size_t limit_per_address,
                  std::size_t limit_on_trial = SIZE_MAX)
      : limit_(limit), limit_per_address_(limit_per_address), limit_on_trial_(limit_on_trial) {}

  /// A place for a connection from `address`, on trial if `on_displaced` isn't empty; nullopt when
  /// there is none and nobody in the way is on trial.
  std::optional<Slot> take(boost::asio::ip::address address, OnDisplaced on_displaced = {});
  std::size_t taken() const;

 private:
  struct Trial {
    boost::asio::ip::address address;
    OnDisplaced on_displaced;
  };
  using Trials = std::map<std::uint64_t, Trial>;

  bool full_for(const boost::asio::ip::address& address, bool on_trial) const;
  Trials::iterator oldest_in_the_way_of(const boost::asio::ip::address& address);
  void count_down(const boost::asio::ip::address& address);
  void release(const Slot& slot);

  const std::size_t limit_;
  const std::size_t limit_per_address_;
  const std::size_t limit_on_trial_;
  mutable std::mutex mutex_;
  std::size_t taken_ = 0;
  std::uint64_t last_id_ = 0;
  std::map<boost::asio::ip::address, std::size_t> by_address_;
  Trials trials_;  ///< the oldest first
};

}  // namespace hagring
