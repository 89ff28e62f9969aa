// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/base/byte_stream.hpp"

namespace hagring::http {

/// Bytes read ahead of a stream, of a bounded number. It grows as it is needed.
class ReadBuffer {
 public:
  explicit ReadBuffer(std::size_t capacity) : capacity_(capacity) {}

  ByteView data() const { return ByteView(storage_).subspan(begin_, end_ - begin_); }
  bool empty() const { return begin_ == end_; }
  void consume(std::size_t size);
  /// Takes up to into.size() bytes out; their number.
  std::size_t take(MutableBytes into);
  void append(ByteView bytes);

  /// Reads at least one byte from `stream`. Errors: Errc::too_large when the buffer is full, or the
  /// stream's.
  awaitable<Result<void>> fill(ByteStream& stream);

 private:
  bool make_room();

  std::size_t capacity_;
  Bytes storage_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace hagring::http
