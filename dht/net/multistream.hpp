// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "userspace/base/byte_stream.hpp"

namespace hagring::dht {

/// multistream-select 1.0.0 (libp2p specs, connections/README.md, "multistream-select"). Nothing
/// behind a token is taken from the stream, so the bytes of a peer that doesn't wait (0-RTT) are
/// there for what comes next. None of these has a deadline: give them one.

/// Proposes `protocols` one by one and returns the first that the other side takes. Errors:
/// NetErrc::no_common_protocol, Errc::bad_message, Errc::too_large, or the stream's.
awaitable<Result<std::string>> propose_protocol(ByteStream& stream,
                                                std::vector<std::string> protocols);

/// Answers the other side's proposals until one is of `protocols`, which is returned. Errors:
/// as propose_protocol's; NetErrc::no_common_protocol after sixteen proposals.
awaitable<Result<std::string>> answer_protocol(ByteStream& stream,
                                               std::vector<std::string> protocols);

/// `stream` on which `protocol` is proposed in one flight with the first bytes written (or by
/// itself, when reading or the end comes first), for a peer that is known to speak it. The answer
/// is checked by the first read: NetErrc::no_common_protocol if the peer doesn't speak it after
/// all.
std::unique_ptr<ByteStream> propose_lazily(std::unique_ptr<ByteStream> stream,
                                           std::string protocol);

}  // namespace hagring::dht
