// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "registry/content_store.hpp"
#include "registry/policy.hpp"
#include "registry/privacy.hpp"
#include "registry/upstream.hpp"

namespace hagring::registry {

/// How content without a mark stands that the runtime fetched past the agent: while it wasn't
/// there, or while connections were spliced.
enum class Standing {
  free,         ///< for everybody, or of no registry
  unreachable,  ///< it may be private, and the registry can't be asked at all
  undecided,    ///< it may be private: the registry hasn't said
  kept,         ///< it isn't for everybody
};

/// The standing of what was fetched from `repositories`. Each registry among them must have said
/// that one of its repositories there is for everybody, or a rule that it is open: so nobody frees
/// what is another registry's by having the same content fetched from their own. A registry that
/// isn't mirrored, or a repository that a rule excludes, is never asked and counts as kept.
Standing standing_of(const Policy& policy, const Privacy& privacy,
                     const Privacy::Names& repositories);

/// Whether what stands so may be given to whoever asks. Where the registry can't be asked nobody
/// could say yes or no, and that content is private is only presumed.
inline bool may_be_given(Standing standing) {
  return standing == Standing::free || standing == Standing::unreachable;
}

/// Where `digest` is from, as the store says or else as a peer has said, kept in `privacy`; none:
/// nobody says. A store that has it and can't tell makes that kUnknownSource. `first` goes before
/// the others: the repository that is asked for.
struct Sources {
  Privacy::Names names{};
  bool here = false;  ///< the store has it
};
awaitable<Sources> sources_of(ContentStore& store, const Policy& policy, Privacy& privacy,
                              Digest digest, std::string first);

/// Of these repositories those whose registries are to be asked, some at a time: begins the
/// inquiries, which the caller makes.
Privacy::Names begin_inquiries(const Policy& policy, Privacy& privacy,
                               const Privacy::Names& repositories);

/// Waits until no inquiry that decides how `repositories` stand is under way any more, for
/// kInquiryWait at most.
awaitable<Standing> wait_for_standing(Clock& clock, const Policy& policy, Privacy& privacy,
                                      Privacy::Names repositories, Duration limit);

/// Longer than an inquiry takes to find out that a registry can't be asked
/// (anonymous_inquiry.cpp); with the search for peers and the client's own question it stays below
/// containerd's 30 s for an answer's head.
inline constexpr Duration kInquiryWait = std::chrono::seconds(7);

/// What to ask, and where, to find out whether everybody may read a repository.
struct AnonymousQuestion {
  Upstream to;
  http::Request request;
};

/// The question about a repository by the content that is known to be of it. nullopt: its registry
/// isn't mirrored.
std::optional<AnonymousQuestion> anonymous_question(const Policy& policy,
                                                    const std::string& repository,
                                                    const Digest& digest, bool manifest);

}  // namespace hagring::registry
