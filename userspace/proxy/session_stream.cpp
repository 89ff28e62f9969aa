// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/session_stream.hpp"

#include <algorithm>

namespace hagring::proxy {

SessionStream::SessionStream(std::shared_ptr<ByteStream> client, Bytes read_ahead)
    : client_(std::move(client)), read_ahead_(std::move(read_ahead)) {}

awaitable<Result<std::size_t>> SessionStream::read_some(MutableBytes into) {
  if (taken_ == read_ahead_.size()) co_return co_await client_->read_some(into);
  const auto size = std::min(into.size(), read_ahead_.size() - taken_);
  std::copy_n(read_ahead_.begin() + static_cast<std::ptrdiff_t>(taken_), size, into.begin());
  taken_ += size;
  co_return size;
}

awaitable<Result<void>> SessionStream::write(ByteView from) { return client_->write(from); }
awaitable<Result<void>> SessionStream::shutdown_write() { return client_->shutdown_write(); }
void SessionStream::close() { client_->close(); }
void SessionStream::set_inactivity_limit(Duration limit) { client_->set_inactivity_limit(limit); }

int SessionStream::plain_socket() const {
  return taken_ == read_ahead_.size() ? client_->plain_socket() : -1;
}

}  // namespace hagring::proxy
