// SPDX-License-Identifier: Apache-2.0
#include "dht/net/dial_backoff.hpp"

#include <algorithm>

namespace hagring::dht {

std::optional<error_code> DialBackoff::resting(const PeerId& peer,
                                               const asio::ip::tcp::endpoint& address) const {
  const auto found = rests_.find({peer, address});
  if (found == rests_.end() || clock_.now() >= found->second.until) return std::nullopt;
  return found->second.error;
}

void DialBackoff::failed(const PeerId& peer, const asio::ip::tcp::endpoint& address,
                         error_code error) {
  const auto now = clock_.now();
  // What has rested and wasn't tried again for as long is history.
  std::erase_if(rests_,
                [&](const auto& entry) { return now >= entry.second.until + options_.longest; });
  if (rests_.size() >= options_.max_entries && !rests_.contains({peer, address})) {
    rests_.erase(
        std::ranges::min_element(rests_, {}, [](const auto& entry) { return entry.second.until; }));
  }
  auto& rest = rests_[{peer, address}];
  rest.length = rest.length == Duration::zero() ? options_.first
                                                : std::min(rest.length * 2, options_.longest);
  rest.until = now + rest.length;
  rest.error = error;
}

void DialBackoff::forget(const PeerId& peer) {
  std::erase_if(rests_, [&](const auto& entry) { return entry.first.first == peer; });
}

}  // namespace hagring::dht
