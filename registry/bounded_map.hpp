// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <unordered_map>
#include <utility>

namespace hagring::registry {

/// A map of at most `capacity` entries: a new one takes the place of that which was touched longest
/// ago. Not safe from several threads.
template <typename Key, typename Value>
class BoundedMap {
 public:
  using Entry = std::pair<const Key, Value>;

  explicit BoundedMap(std::size_t capacity) : capacity_(capacity) {}

  /// Null when there is none.
  Value* find(const Key& key) {
    const auto found = index_.find(key);
    return found == index_.end() ? nullptr : &found->second->second;
  }
  const Value* find(const Key& key) const { return const_cast<BoundedMap*>(this)->find(key); }

  /// The entry of `key`, which is made where there is none, as the one touched last.
  Value& touch(const Key& key) {
    if (const auto found = index_.find(key); found != index_.end()) {
      order_.splice(order_.end(), order_, found->second);
      return found->second->second;
    }
    if (order_.size() >= capacity_) {
      index_.erase(order_.front().first);
      order_.pop_front();
    }
    const auto place = order_.emplace(order_.end(), key, Value());
    index_.emplace(key, place);
    return place->second;
  }

  bool erase(const Key& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return false;
    order_.erase(found->second);
    index_.erase(found);
    return true;
  }

  /// Erases what `predicate` holds for; how many that were.
  template <typename Predicate>
  std::size_t erase_if(Predicate predicate) {
    std::size_t erased = 0;
    for (auto entry = order_.begin(); entry != order_.end();) {
      const auto next = std::next(entry);
      if (predicate(std::as_const(*entry))) {
        index_.erase(entry->first);
        order_.erase(entry);
        ++erased;
      }
      entry = next;
    }
    return erased;
  }

  std::size_t size() const { return order_.size(); }
  /// From the one touched longest ago on.
  auto begin() const { return order_.cbegin(); }
  auto end() const { return order_.cend(); }

 private:
  const std::size_t capacity_;
  std::list<Entry> order_;
  std::unordered_map<Key, typename std::list<Entry>::iterator> index_;
};

}  // namespace hagring::registry
