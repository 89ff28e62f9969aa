// SPDX-License-Identifier: Apache-2.0
#include "userspace/http/read_buffer.hpp"

#include <algorithm>
#include <cstring>

#include "userspace/base/task_group.hpp"

namespace hagring::http {
namespace {

/// What an ordinary request's head fits into; grown by doubling.
constexpr std::size_t kFirstSize = 4096;

}  // namespace

void ReadBuffer::consume(std::size_t size) {
  begin_ += std::min(size, end_ - begin_);
  if (begin_ == end_) begin_ = end_ = 0;
}

std::size_t ReadBuffer::take(MutableBytes into) {
  const auto size = std::min(into.size(), end_ - begin_);
  std::copy_n(storage_.begin() + static_cast<std::ptrdiff_t>(begin_), size, into.begin());
  consume(size);
  return size;
}

void ReadBuffer::append(ByteView bytes) {
  storage_.resize(end_);
  storage_.insert(storage_.end(), bytes.begin(), bytes.end());
  end_ = storage_.size();
}

bool ReadBuffer::make_room() {
  if (begin_ > 0) {
    std::memmove(storage_.data(), storage_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == storage_.size() && end_ < capacity_) {
    storage_.resize(std::min(capacity_, std::max(kFirstSize, 2 * end_)));
  }
  return end_ < storage_.size();
}

awaitable<Result<void>> ReadBuffer::fill(ByteStream& stream) {
  if (!make_room()) co_return Errc::too_large;
  // Threat: a peer whose bytes keep coming, one at a time, leaves no wait that could be cancelled.
  if (co_await asked_to_stop()) co_return Errc::cancelled;
  CO_TRY(const auto size, co_await stream.read_some(MutableBytes(storage_).subspan(end_)));
  end_ += size;
  co_return Result<void>();
}

}  // namespace hagring::http
