// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <mutex>

#include "registry/herd/data_frame.hpp"
#include "registry/herd/herds.hpp"
#include "registry/policy.hpp"
#include "registry/privacy.hpp"

namespace hagring::herd {

/// Serves stripes to other nodes on the peer port, from spools that fill. Used by all data threads
/// at once; each child has its connection's own coroutine, so that a slow one holds up nobody.
class ChildServer {
 public:
  struct Options {
    /// Between two signs of life when there is nothing to send. A fifth of MemberOptions::silent;
    /// more of them would outnumber the pieces where those come slowly.
    Duration beat = std::chrono::milliseconds(100);
    /// The least speed at which a child must take pieces, in bytes a second, on top of `grace`.
    std::uint64_t least_speed = 32 * 1024;
    Duration grace = std::chrono::seconds(60);
  };
  /// All outlive it; `policy` and `privacy` as in PeerResponder::Options.
  ChildServer(Herds& herds, const registry::Policy& policy, registry::Privacy& privacy)
      : ChildServer(herds, policy, privacy, Options()) {}
  ChildServer(Herds& herds, const registry::Policy& policy, registry::Privacy& privacy,
              Options options)
      : herds_(herds), policy_(policy), privacy_(privacy), options_(options) {}

  /// Whether it is a request for a stripe.
  static bool is_for(const http::Request& request);

  /// The herd that could be joined by who asks for the whole of a blob; nullopt: it isn't such a
  /// request.
  static std::optional<HerdId> joinable(const http::Request& request);
  /// Whether this node is just sending the blob to others, too: what all ask for at the same moment
  /// would share this node's link, copy by copy.
  bool leads_to(const HerdId& herd) const;
  /// While it lives, the whole blob is sent to one who could have joined others.
  class Copy;
  /// Answers that the herd is to be joined, which the asker finds by itself.
  awaitable<Result<void>> lead_to_herd(http::Connection& connection, bool keep_alive) const;

  /// Answers a request for a stripe, to the member of the mesh `node`. Errors: the connection's; it
  /// can only be closed then.
  awaitable<Result<void>> answer(http::Connection& connection, const http::Request& request,
                                 NodeId node, bool keep_alive);

 private:
  class Stream;
  std::shared_ptr<Party> party_for(const http::Request& request, StripeRequest& wanted) const;

  Herds& herds_;
  const registry::Policy& policy_;
  registry::Privacy& privacy_;
  const Options options_;
  mutable std::mutex mutex_;
  std::map<registry::Digest, int> copies_;  ///< that are sent now, of any thread
};

class ChildServer::Copy {
 public:
  Copy(ChildServer& server, registry::Digest digest);
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;
  ~Copy();

 private:
  ChildServer& server_;
  const registry::Digest digest_;
};

}  // namespace hagring::herd
