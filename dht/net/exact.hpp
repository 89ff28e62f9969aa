// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/base/byte_stream.hpp"

namespace hagring::dht {

/// Fills `into`. Errors: the stream's; Errc::truncated if it ends within, Errc::end_of_stream if it
/// ends before the first byte.
awaitable<Result<void>> read_exactly(ByteStream& stream, MutableBytes into);

/// Reads one unsigned varint byte by byte, so that nothing behind it is taken from the stream.
/// Errors: as read_exactly's; Errc::bad_message, Errc::too_large when it is above `max`.
awaitable<Result<std::size_t>> read_length(ByteStream& stream, std::size_t max);

/// Reads a varint and as many bytes as it says; memory grows with what has arrived, not with what
/// was announced. Errors as read_length's.
awaitable<Result<Bytes>> read_delimited(ByteStream& stream, std::size_t max);

/// Writes `message` behind its length as a varint.
awaitable<Result<void>> write_delimited(ByteStream& stream, ByteView message);

}  // namespace hagring::dht
