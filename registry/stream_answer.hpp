// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "registry/inquiry.hpp"

namespace hagring::registry {

// How the bytes of a ContentStream reach the client. All of these note in the inquiry's record who
// sent them.

/// Sends content of which `stream` gives the whole, as the body of an answer whose head has been
/// sent. What the origin alone sends goes out as it comes. As soon as a peer has sent some of it
/// the tail is held back until the digest is right: wrong bytes have reached the client by then,
/// and it would resume on them, so the runtime is made to drop them first, and only then the
/// connection ends, short of the length. A manifest of up to kMaxManifestBytes is held back whole,
/// and the rest of the agent is told of it before the client has it (note_manifest).
awaitable<Result<void>> send_whole(Inquiry& inquiry, const Digest& digest, ContentStream& stream);

/// Sends a part in the same way; it can't be verified here, the runtime does it when it has the
/// whole.
awaitable<Result<void>> send_part(Inquiry& inquiry, ContentStream& stream);

/// Gets the whole content into memory and verifies it; who sent something else is banned.
/// Errors: Errc::bad_message for wrong content.
awaitable<Result<std::string>> collect_verified(Inquiry& inquiry, const Digest& digest,
                                                ContentStream& stream);

/// Asks the origin for parts of what the inquiry is about. The inquiry must outlive it.
Continuation origin_continuation(Inquiry& inquiry);

}  // namespace hagring::registry
