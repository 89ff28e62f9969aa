// SPDX-License-Identifier: Apache-2.0
#include "userspace/http/body_reader.hpp"

#include <algorithm>

namespace hagring::http {
namespace {

/// The most that one chunk's header with its extensions, or all trailers, may take.
constexpr std::size_t kMaxChunkFraming = 8 * 1024;

}  // namespace

BodyReader::BodyReader(BodyLength length, std::unique_ptr<ChunkParser> chunks)
    : kind_(length.kind), remaining_(length.bytes), chunks_(std::move(chunks)), ended_(false) {
  if (kind_ == BodyLength::Kind::chunked) remaining_ = 0;
}

bool BodyReader::surely_longer_than(std::uint64_t bytes) const {
  return !ended_ && kind_ != BodyLength::Kind::until_close && remaining_ > bytes;
}

awaitable<Result<std::size_t>> BodyReader::read(ReadBuffer& buffer, ByteStream& stream,
                                                MutableBytes into) {
  if (ended_ || into.empty()) co_return 0;
  if (kind_ == BodyLength::Kind::chunked && remaining_ == 0) {
    CO_CHECK(co_await next_chunk(buffer, stream));
    if (ended_) co_return 0;
  }
  const bool bounded = kind_ != BodyLength::Kind::until_close;
  if (bounded) into = into.first(std::min<std::uint64_t>(into.size(), remaining_));
  std::size_t size = buffer.take(into);
  if (size == 0) {
    const auto read = co_await stream.read_some(into);
    if (!read && read.error() == Errc::end_of_stream) {
      if (bounded) co_return Errc::bad_message;
      ended_ = true;
      co_return 0;
    }
    if (!read) co_return read.error();
    size = *read;
  }
  if (chunks_) CO_CHECK(chunks_->data(into.first(size)));
  if (bounded) remaining_ -= size;
  if (kind_ == BodyLength::Kind::length && remaining_ == 0) ended_ = true;
  co_return size;
}

awaitable<Result<void>> BodyReader::next_chunk(ReadBuffer& buffer, ByteStream& stream) {
  while (true) {
    CO_TRY(const auto header, chunks_->header(buffer.data()));
    if (header.consumed > kMaxChunkFraming) co_return Errc::too_large;
    if (header.consumed > 0) {
      buffer.consume(header.consumed);
      remaining_ = header.size;
      ended_ = header.size == 0;
      co_return Result<void>();
    }
    if (buffer.data().size() >= kMaxChunkFraming) co_return Errc::too_large;
    const auto filled = co_await buffer.fill(stream);
    if (!filled && filled.error() == Errc::end_of_stream) co_return Errc::bad_message;
    if (!filled) co_return filled.error();
  }
}

}  // namespace hagring::http
