// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/clock.hpp"

namespace hagring::registry {

/// Where the bytes of an answer came from.
enum class PullSource {
  local,        ///< this node's containerd
  peer,         ///< another node
  herd,         ///< other nodes, while one of them fetches it
  origin,       ///< the registry, for a read that peers may answer
  passthrough,  ///< the registry, for anything else
  none,         ///< nobody: the answer is ours (an error, the trust probe)
};
inline constexpr std::size_t kPullSources = 6;

/// What was asked for.
enum class PullKind { manifest, blob, other };

std::string_view to_string(PullSource source);
std::string_view to_string(PullKind kind);

/// One answered request. Nothing here is secret: targets of requests that are passed through are
/// kept without their query.
struct Pull {
  WallTime time{};
  std::string registry{};    ///< `docker.io`
  bool mirrored = false;     ///< else `registry` is what the client says
  std::string repository{};  ///< `library/nginx`; of PullKind::other the target's path
  std::string reference{};   ///< tag or digest
  std::string content{};     ///< the digest that the answer's head tells, if it does
  std::string method{};
  PullKind kind = PullKind::other;
  PullSource source = PullSource::none;
  std::string peers{};       ///< addresses of the peers that sent some of it, in order
  std::uint64_t bytes = 0;   ///< of the body, as sent to the client
  TimePoint begin{};         ///< when the request's head had come
  Duration first_byte{0};    ///< from then to the answer's head
  Duration duration{0};      ///< from then to the answer's last byte
  unsigned status = 0;       ///< 0: the connection ended before there was one
  std::uint32_t client = 0;  ///< the client's process, 0 if not known
  bool verified = false;     ///< the whole content was hashed here and is what its digest says
  bool complete = false;     ///< the client was sent the whole answer
  std::string note{};        ///< what went wrong, for people
};

/// Cuts and cleans the texts that the client chose: a record must not keep its 64 KiB for long, nor
/// hand control characters or broken UTF-8 to a terminal or to JSON.
void make_showable(Pull& pull);

/// The last pulls, for `hagring status`, and what was served from where since the start. Any thread
/// may use it: one short lock a request.
class PullRecord {
 public:
  struct Totals {
    std::uint64_t requests = 0;
    std::uint64_t bytes = 0;
  };

  explicit PullRecord(std::size_t capacity = 256) : capacity_(capacity) {}

  void add(Pull pull);

  /// The last pulls, the newest first.
  std::vector<Pull> recent() const;
  Totals totals(PullSource source) const;

 private:
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::deque<Pull> pulls_;
  std::array<Totals, kPullSources> totals_{};
};

}  // namespace hagring::registry
