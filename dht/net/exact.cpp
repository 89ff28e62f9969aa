// SPDX-License-Identifier: Apache-2.0
#include "dht/net/exact.hpp"

#include <algorithm>

#include "dht/multiformats/varint.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::dht {
namespace {

/// Memory is taken as bytes arrive: what a peer merely claims costs it nothing.
constexpr std::size_t kStep = 4096;

}  // namespace

awaitable<Result<void>> read_exactly(ByteStream& stream, MutableBytes into) {
  bool began = false;
  while (!into.empty()) {
    if (co_await asked_to_stop()) co_return Errc::cancelled;
    const auto size = co_await stream.read_some(into);
    if (!size) {
      if (began && size.error() == Errc::end_of_stream) co_return Errc::truncated;
      co_return size.error();
    }
    began = true;
    into = into.subspan(*size);
  }
  co_return Result<void>();
}

awaitable<Result<std::size_t>> read_length(ByteStream& stream, std::size_t max) {
  Bytes bytes;
  while (true) {
    std::uint8_t byte = 0;
    const auto read = co_await read_exactly(stream, MutableBytes(&byte, 1));
    if (!read) {
      if (!bytes.empty() && read.error() == Errc::end_of_stream) co_return Errc::truncated;
      co_return read.error();
    }
    bytes.push_back(byte);
    const auto length = read_varint(bytes);
    if (length.status == VarintRead::Status::malformed) co_return Errc::bad_message;
    if (length.status == VarintRead::Status::incomplete) continue;
    if (length.value > max) co_return Errc::too_large;
    co_return static_cast<std::size_t>(length.value);
  }
}

awaitable<Result<Bytes>> read_delimited(ByteStream& stream, std::size_t max) {
  CO_TRY(const auto size, co_await read_length(stream, max));
  Bytes message;
  while (message.size() < size) {
    const auto part = std::min(size - message.size(), kStep);
    message.resize(message.size() + part);
    const auto read = co_await read_exactly(stream, MutableBytes(message).last(part));
    if (!read && read.error() == Errc::end_of_stream) co_return Errc::truncated;
    if (!read) co_return read.error();
  }
  co_return message;
}

awaitable<Result<void>> write_delimited(ByteStream& stream, ByteView message) {
  Bytes bytes;
  bytes.reserve(message.size() + 9);
  append_varint(bytes, message.size());
  bytes.insert(bytes.end(), message.begin(), message.end());
  co_return co_await stream.write(bytes);
}

}  // namespace hagring::dht
