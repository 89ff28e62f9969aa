// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "registry/bounded_map.hpp"
#include "registry/content_router.hpp"
#include "registry/digest.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::registry {

/// Which peer has just sent which content, so that who is asked for it again (a part at a time, a
/// HEAD and then a GET, a repeated pull) needs no search. Used from one thread.
class RecentProviders {
 public:
  struct Options {
    /// A provider record is good for much longer; peers that collect garbage say 404.
    Duration keep = std::chrono::minutes(1);
    std::size_t capacity = 1024;
  };

  explicit RecentProviders(Clock& clock) : RecentProviders(clock, Options()) {}
  RecentProviders(Clock& clock, Options options)
      : clock_(clock), options_(options), peers_(options.capacity) {}

  /// The peer that sent `digest` last, if that isn't too long ago. Whether it may be asked now is
  /// the caller's to find out.
  std::optional<Peer> of(const Digest& digest);
  /// `peer` has begun to send `digest`.
  void sends(const Digest& digest, Peer peer);
  /// The peer with this key() doesn't send `digest`, or not as it should.
  void fails(const Digest& digest, const std::string& peer);

  std::size_t size() const { return peers_.size(); }

 private:
  struct Sent {
    Peer peer;
    TimePoint at;
  };

  Clock& clock_;
  const Options options_;
  BoundedMap<Digest, Sent> peers_;
};

}  // namespace hagring::registry
