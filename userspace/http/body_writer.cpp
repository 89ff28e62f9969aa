// SPDX-License-Identifier: Apache-2.0
#include "userspace/http/body_writer.hpp"

#include <cstdio>
#include <string>

namespace hagring::http {
namespace {

/// Up to this size a chunk is copied together with its framing, to be one write. The herd's pieces
/// of 64 KiB are: a copy costs less than what each write costs here, in the kernel and at the
/// reader.
constexpr std::size_t kCopiedChunk = 80 * 1024;
constexpr std::string_view kChunkEnd = "\r\n";

std::string chunk_header(std::size_t size) {
  char line[24];
  const int length = std::snprintf(line, sizeof line, "%zx\r\n", size);
  return {line, static_cast<std::size_t>(length)};
}

}  // namespace

BodyWriter::BodyWriter(BodyLength length) : kind_(length.kind), remaining_(length.bytes) {
  finished_ =
      kind_ == BodyLength::Kind::none || (kind_ == BodyLength::Kind::length && remaining_ == 0);
}

Result<void> BodyWriter::count(std::uint64_t bytes) {
  if (kind_ == BodyLength::Kind::until_close && !finished_) return Result<void>();
  if (kind_ != BodyLength::Kind::length || bytes > remaining_) return Errc::bad_message;
  remaining_ -= bytes;
  finished_ = remaining_ == 0;
  return Result<void>();
}

awaitable<Result<void>> BodyWriter::write(ByteStream& stream, ByteView part) {
  if (part.empty()) co_return Result<void>();
  if (kind_ == BodyLength::Kind::chunked && !finished_) {
    co_return co_await write_chunk(stream, part);
  }
  CO_CHECK(count(part.size()));
  co_return co_await stream.write(part);
}

awaitable<Result<void>> BodyWriter::write_chunk(ByteStream& stream, ByteView part) {
  auto framed = chunk_header(part.size());
  if (part.size() <= kCopiedChunk) {
    framed.reserve(framed.size() + part.size() + kChunkEnd.size());
    framed.append(as_text(part)).append(kChunkEnd);
    co_return co_await stream.write(as_bytes(framed));
  }
  CO_CHECK(co_await stream.write(as_bytes(framed)));
  CO_CHECK(co_await stream.write(part));
  co_return co_await stream.write(as_bytes(kChunkEnd));
}

awaitable<Result<void>> BodyWriter::finish(ByteStream& stream) {
  if (finished_) co_return Result<void>();
  if (kind_ == BodyLength::Kind::length) co_return Errc::bad_message;
  finished_ = true;
  if (kind_ == BodyLength::Kind::chunked) {
    co_return co_await stream.write(as_bytes("0\r\n\r\n"));
  }
  co_return Result<void>();
}

}  // namespace hagring::http
