// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "registry/inquiry.hpp"

namespace hagring::registry {

/// The repositories under which `digest` is private as far as this node knows; nullopt when it
/// isn't marked, or one of them is `open` by a rule.
std::optional<Privacy::Names> private_under(const Policy& policy, Privacy& privacy,
                                            const Digest& digest);

/// Whether `digest` may be given to whoever asks, as far as it is about to be found out within
/// `limit`: it isn't marked, and not presumed to be private either. Errors: Errc::cancelled.
awaitable<Result<bool>> is_free(Inquiry& inquiry, Digest digest, Duration limit);

enum class Permission { given, withheld };

/// Whether the client may be given `digest`, which is here or at a peer that has just answered,
/// from this node's store or from peers, without the origin sending it: the content needs no yes,
/// or the origin has said yes to these credentials for this repository lately, or says so now (a
/// HEAD of that very content with the client's own fields). Nothing is sent to the client;
/// withheld, the origin's own answer is the client's, or, where it can't be asked,
/// Inquiry::withheld says why. Errors: Errc::cancelled.
awaitable<Result<Permission>> may_have(Inquiry& inquiry, Digest digest);

/// The origin has let this client read its repository, says that `digest` is content of it, or has
/// sent it (`proof`): all is remembered, and whether others may have it, too, is found out. Before
/// the content is passed on, so that it is never without its mark.
void note_yes(Inquiry& inquiry, const std::optional<Digest>& digest, Proof proof = Proof::answer);

/// What the origin's answer to a read of `digest` says about the client's rights. A redirect, and
/// what it has led to, say nothing: it could be a page for people to log in on.
void note_answer(Inquiry& inquiry, const std::optional<Digest>& digest, const Exchange& exchange);

/// Whether refuse_withheld() would ask for credentials: better than to relay that an origin is in
/// trouble.
bool asks_in_place_of_origin(const Inquiry& inquiry);

/// Answers that private content is withheld because the origin can't or mustn't be asked. Where a
/// client that has credentials could be let in by its former yes, it is asked for them in the
/// registry's own words: a client sends none unasked.
awaitable<Result<void>> refuse_withheld(Inquiry& inquiry, error_code cause);

/// The same, or, where nothing is withheld, that the origin can't be asked.
awaitable<Result<void>> refuse_for_origin(Inquiry& inquiry, const Result<Exchange>& exchange);

/// Whether a status leaves open what the origin has, and for whom: it limits our rate, or is in
/// trouble.
bool is_trouble(unsigned status);

/// Whether the origin has answered for itself, and for who asked: that isn't there, or not for them
/// (to whom may not know of a repository it often isn't there, 404).
bool is_no(unsigned status);

}  // namespace hagring::registry
