// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "registry/answer.hpp"
#include "registry/mirror.hpp"
#include "registry/route.hpp"

namespace hagring::registry {

/// One request of an intercepted client while it is answered.
struct Inquiry {
  MirrorParts& parts;
  http::Connection& client;
  Upstream origin;  ///< where the client had wanted to send it
  http::Request request;
  Route route;
  std::string registry;  ///< the origin's name among registries
  Pull& pull;
  Answer answer;
  Decision rule{};  ///< what the rules say of what is asked for
  /// Why content that is here, or at a peer, isn't given to this client; empty: nothing is
  /// withheld.
  std::string withheld{};
  /// Why the origin couldn't be asked a moment ago: it isn't asked again for the same request.
  error_code origin_failure{};
  bool joins = false;         ///< a herd can be joined where peers don't send the content
  bool sent_to_herd = false;  ///< a peer that has it wants that
};

/// Each answers the request; an error means that the connection must be closed.

/// Reads content by `digest`, which is the route's or what its tag points to: from the local store,
/// from peers, from the origin. Ranges that begin later than at the first byte can't be verified,
/// so that peers come after the origin for them (only a FIN of ours in mid-body makes containerd
/// ask for one, or its parallel chunks, which are off by default); and so it is for a while with a
/// digest that came wrong from a peer.
awaitable<Result<void>> read_by_digest(Inquiry& inquiry, Digest digest);

/// Reads a manifest by its tag: the origin says what the tag points to, and, if it can't, the local
/// store or a peer does; or as the rules say. A tag isn't self-certifying: peers must be members of
/// the mesh.
awaitable<Result<void>> read_by_tag(Inquiry& inquiry);

/// Reads content that a rule excludes: it goes to the origin, and its answer to the client,
/// unchanged.
awaitable<Result<void>> read_excluded(Inquiry& inquiry);

/// Sends the request to the origin and its answer to the client, unchanged.
awaitable<Result<void>> pass_through(Inquiry& inquiry);

/// Answers that the origin can't be asked: which it is, why not, and what to look at.
awaitable<Result<void>> refuse_unreachable(Inquiry& inquiry, error_code cause);

}  // namespace hagring::registry
