// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "userspace/base/byte_stream.hpp"

namespace hagring::registry {

/// What stands between a connection and the first byte of HTTP on the peer port: both sides prove
/// who they are and that they belong together. Used from one thread. Both operations must obey
/// cancellation and end, with the stream closed, when they fail; errors are such that their
/// messages tell people what to check.
class PeerGate {
 public:
  virtual ~PeerGate() = default;

  /// As the client, towards the peer that the router has named `identity`.
  virtual awaitable<Result<std::unique_ptr<ByteStream>>> enter(std::unique_ptr<ByteStream> stream,
                                                               std::string identity) = 0;
  /// A connection that was let in, and whose it is: the peer ID in binary form.
  struct Admitted {
    std::unique_ptr<ByteStream> stream;
    std::string node;
  };
  /// As the server.
  virtual awaitable<Result<Admitted>> admit(std::unique_ptr<ByteStream> stream) = 0;
};

/// Makes a gate for one thread. Empty: there is none, and peers speak plain HTTP.
using PeerGateMaker = std::function<std::unique_ptr<PeerGate>()>;

}  // namespace hagring::registry
