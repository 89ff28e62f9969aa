// SPDX-License-Identifier: Apache-2.0
// A party that waits for its first client.
#include "registry/herd/party.hpp"

namespace hagring::herd {
namespace {

/// The client takes other layers of the image first.
constexpr auto kAhead = std::chrono::seconds(15);

}  // namespace

bool Party::gives_way(const asio::any_io_executor& home) {
  auto found = Vacancy::vacant;
  const auto next = home == home_ ? Vacancy::none : Vacancy::given_way;
  if (!vacancy_.compare_exchange_strong(found, next)) return found == Vacancy::given_way;
  if (next == Vacancy::none) return false;
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
