// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/base/byte_stream.hpp"
#include "userspace/http/message.hpp"

namespace hagring::http {

/// Writes one message's body and holds it to what the head has announced.
class BodyWriter {
 public:
  /// No body.
  BodyWriter() = default;
  explicit BodyWriter(BodyLength length);

  /// Whether the whole body is written.
  bool finished() const { return finished_; }

  /// Errors: Errc::bad_message for more than was announced, or the stream's.
  awaitable<Result<void>> write(ByteStream& stream, ByteView part);
  /// Errors: Errc::bad_message for less than was announced, or the stream's.
  awaitable<Result<void>> finish(ByteStream& stream);
  /// Counts bytes that went past us. Errors: Errc::bad_message for more than was announced.
  Result<void> count(std::uint64_t bytes);

 private:
  awaitable<Result<void>> write_chunk(ByteStream& stream, ByteView part);

  BodyLength::Kind kind_ = BodyLength::Kind::none;
  std::uint64_t remaining_ = 0;
  bool finished_ = true;
};

}  // namespace hagring::http
