// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <memory>

#include "userspace/base/byte_stream.hpp"

namespace hagring {

/// A ByteStream over a connected TCP or Unix socket.
class SocketStream final : public ByteStream {
 public:
  using Socket = asio::generic::stream_protocol::socket;

  /// Takes a connected socket; its executor is where all operations run.
  explicit SocketStream(Socket socket);
  ~SocketStream() override;

  awaitable<Result<std::size_t>> read_some(MutableBytes into) override;
  awaitable<Result<void>> write(ByteView from) override;
  awaitable<Result<void>> shutdown_write() override;
  void close() override;
  void set_inactivity_limit(Duration limit) override;
  int plain_socket() const override;
  awaitable<Result<void>> wait_writable() override;

 private:
  struct State;
  error_code translate(error_code error) const;

  /// Shared with the pending wait of its own timer only, whose handler may run once more after
  /// this object is gone.
  std::shared_ptr<State> state_;
};

}  // namespace hagring
