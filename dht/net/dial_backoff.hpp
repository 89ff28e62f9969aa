// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <map>
#include <optional>

#include "dht/multiformats/peer_id.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"

namespace hagring::dht {

/// Which addresses of which peers aren't dialled for a while, because they have just failed. The
/// rests are short: nodes of a cluster restart.
class DialBackoff {
 public:
  struct Options {
    Duration first = std::chrono::seconds(1);  ///< doubled with each failure
    Duration longest = std::chrono::seconds(30);
    /// Threat: peers that name addresses without end. The one that rests least longer goes.
    std::size_t max_entries = 4096;
  };

  /// `clock` must outlive this.
  DialBackoff(Clock& clock, Options options) : clock_(clock), options_(options) {}

  /// The error of the last attempt, while that address of that peer rests.
  std::optional<error_code> resting(const PeerId& peer,
                                    const asio::ip::tcp::endpoint& address) const;
  void failed(const PeerId& peer, const asio::ip::tcp::endpoint& address, error_code error);
  /// All addresses of `peer` may be tried at once: it is there.
  void forget(const PeerId& peer);

 private:
  struct Rest {
    Duration length{0};
    TimePoint until;
    error_code error;
  };

  Clock& clock_;
  const Options options_;
  std::map<std::pair<PeerId, asio::ip::tcp::endpoint>, Rest> rests_;
};

}  // namespace hagring::dht
