// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>

#include "registry/inquiry.hpp"

namespace hagring::registry {

/// What others than the origin say that an inquiry's tag points to. The search for peers begins at
/// once; nobody is asked before it is of interest what they say.
class TagCandidates {
 public:
  enum class Place { here, peers };

  /// `inquiry` outlives it.
  explicit TagCandidates(Inquiry& inquiry);

  /// What the tag points to in this node's store, or by what peers say; none: not known there. Each
  /// place is asked once. Errors: Errc::cancelled.
  awaitable<Result<std::optional<Digest>>> at(Place place);

  /// Ends the search: it is of no interest any more.
  void stop() { search_.reset(); }

 private:
  awaitable<Result<std::optional<Digest>>> ask(Place place);

  Inquiry& inquiry_;
  std::unique_ptr<PeerSearch> search_;
  std::optional<std::optional<Digest>> here_;
  std::optional<std::optional<Digest>> peers_;
};

}  // namespace hagring::registry
