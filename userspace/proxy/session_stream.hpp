// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "userspace/base/byte_stream.hpp"

namespace hagring::proxy {

/// What a session gives its handler: the client's stream, with bytes that were read ahead in front.
/// Destroying it closes nothing, so that the session can end the connection without a RST once the
/// handler has returned; close() closes for good.
class SessionStream final : public ByteStream {
 public:
  /// `client` is shared by the session, which closes it, and this.
  SessionStream(std::shared_ptr<ByteStream> client, Bytes read_ahead);

  awaitable<Result<std::size_t>> read_some(MutableBytes into) override;
  awaitable<Result<void>> write(ByteView from) override;
  awaitable<Result<void>> shutdown_write() override;
  void close() override;
  void set_inactivity_limit(Duration limit) override;
  /// -1 until the bytes read ahead have been taken.
  int plain_socket() const override;

 private:
  std::shared_ptr<ByteStream> client_;
  Bytes read_ahead_;
  std::size_t taken_ = 0;
};

}  // namespace hagring::proxy
