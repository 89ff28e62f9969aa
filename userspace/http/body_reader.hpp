// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "userspace/http/message_parser.hpp"
#include "userspace/http/read_buffer.hpp"

namespace hagring::http {

/// Reads one message's body. Bytes go from the stream to the caller's memory without a copy, but
/// for those that were read ahead.
class BodyReader {
 public:
  /// A body that has ended.
  BodyReader() = default;
  BodyReader(BodyLength length, std::unique_ptr<ChunkParser> chunks);

  bool ended() const { return ended_; }
  /// Whether it is known that more than `bytes` are still to come.
  bool surely_longer_than(std::uint64_t bytes) const;

  /// 0 at the end. Errors: Errc::bad_message when the body breaks off or its chunks are malformed,
  /// Errc::too_large for framing beyond limits, or the stream's.
  awaitable<Result<std::size_t>> read(ReadBuffer& buffer, ByteStream& stream, MutableBytes into);

 private:
  awaitable<Result<void>> next_chunk(ReadBuffer& buffer, ByteStream& stream);

  BodyLength::Kind kind_ = BodyLength::Kind::none;
  std::uint64_t remaining_ = 0;  ///< of the body, or of the chunk
  std::unique_ptr<ChunkParser> chunks_;
  bool ended_ = true;
};

}  // namespace hagring::http
