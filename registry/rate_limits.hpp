// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "registry/origin_server.hpp"
#include "registry/rate_limit.hpp"
#include "userspace/base/bytes.hpp"

namespace hagring::registry {

/// Remembers which registries limit whom, so that others are asked first, and what they have
/// answered: containerd repeats a request that was answered 429 at once, five times
/// (core/remotes/docker/resolver.go), and a limited registry may count those too. Limits are kept
/// by server, by whose the credentials are, and apart for manifests and all else, since Docker Hub
/// counts manifests only and a pull under way must get its blobs. What is the client's is kept as
/// a hash under a key of this process's own. Any thread may use it; as long as nobody limits us it
/// costs the reading of one number.
class RateLimits {
 public:
  struct Options {
    std::size_t limits = 1024;
    std::size_t answers = 256;
    std::size_t answer_bytes = 16UL * 1024;  ///< head and body; larger ones aren't kept
    /// How long an answer stands for the same request again: longer than containerd's repetitions,
    /// shorter than kubelet's first pause (10 s).
    Duration replay = std::chrono::seconds(8);
  };
  /// A registry's 429.
  struct Answer {
    http::Response response;
    std::string body;
  };
  /// For the status page.
  struct Limit {
    OriginServer server;
    bool manifests = false;
    bool refused = false;  ///< else it has only said that nothing is left
    std::string source;    ///< Docker-RateLimit-Source: an address or an account
    Duration remaining{0};
  };

  explicit RateLimits(Clock& clock) : RateLimits(clock, Options()) {}
  /// Throws StartError when there are no random numbers.
  RateLimits(Clock& clock, Options options);

  /// Whether `request` is one that the server would rather not get now.
  bool limits(const OriginServer& server, const http::Request& request) const;
  /// The answer to the same request of the same client a moment ago, its Retry-After brought up to
  /// date.
  std::optional<Answer> remembered(const OriginServer& server, const http::Request& request) const;

  /// What a response says of limits. Returns whether its body should be given to remember(), too.
  bool learn(const OriginServer& server, const http::Request& request,
             const http::Response& response);
  void remember(const OriginServer& server, const http::Request& request, Answer answer);

  std::vector<Limit> all() const;

 private:
  struct Known {
    Limit limit;  ///< but for `remaining`
    TimePoint until{};
  };
  struct Kept {
    Answer answer;
    TimePoint until{};     ///< of its replay
    TimePoint retry_at{};  ///< what it says itself
  };

  std::string limit_key(const OriginServer& server, const http::Request& request) const;
  std::string request_key(const OriginServer& server, const http::Request& request) const;
  std::string hashed(std::initializer_list<std::string_view> parts) const;

  Clock& clock_;
  const Options options_;
  Bytes secret_;
  std::atomic<bool> idle_ = true;  ///< there is neither a limit nor an answer
  mutable std::mutex mutex_;
  std::map<std::string, Known> limits_;
  std::map<std::string, Kept> answers_;
};

}  // namespace hagring::registry
