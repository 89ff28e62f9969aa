// SPDX-License-Identifier: Apache-2.0
// A party that waits for its first client.
#include "registry/herd/party.hpp"

namespace hagring::herd {
namespace {

/// The client takes other layers of the image first.
constexpr auto kAhead = std::chrono::seconds(15);

}  // namespace

bool Party::gives_way(const asio::any_io_executor& home) {
  const bool vacant = vacant_.exchange(false);
  if (!vacant || home == home_) return false;
  given_way_ = true;
  post([](Party& party) { party.timer_.cancel(); });
  return true;
}

TimePoint Party::ahead_until() const { return wanted_ + kAhead; }

/// Nobody has come, or nothing has.
void Party::end_ahead() {
  if (!ahead_ || (!gave_up_ && now() < ahead_until())) return;
  ahead_ = false;
  without_client();
}

}  // namespace hagring::herd
