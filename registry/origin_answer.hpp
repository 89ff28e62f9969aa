// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "registry/herd/seat.hpp"
#include "registry/inquiry.hpp"

namespace hagring::registry {

/// Hands on what the origin has begun to answer to a read by `digest`. A body that breaks off or
/// falls silent is gone on with: by the origin, asked anew from the byte that was reached on, or,
/// where it can't, by peers. Content is hashed on its way. Answers that are no content, and such
/// whose bytes can't be told to be this content's (coded ones, or of an unknown or another size),
/// are handed on as they are. With a `seat` (which may be null) whole content goes to the herd, and
/// from there to the client.
awaitable<Result<void>> answer_from_origin(Inquiry& inquiry, const Digest& digest,
                                           Exchange exchange, herd::Seat* seat = nullptr);

}  // namespace hagring::registry
