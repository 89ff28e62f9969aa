// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/ssl.h>

#include <memory>

#include "userspace/base/bytes.hpp"

namespace hagring {

/// What an SSL reads from and writes to: bytes that have come, and bytes that are to be sent.
struct TlsBuffers {
  std::unique_ptr<std::uint8_t[]> in;
  std::size_t in_capacity = 0;
  std::size_t in_begin = 0;
  std::size_t in_end = 0;
  /// What the SSL can't go on without: the rest of a record, or of its header. It reads no further
  /// ahead (SSL_CTX_set_read_ahead).
  std::size_t missing = 1;
  Bytes out;

  /// Room for reads, with these bytes, which have been read already, in it.
  void begin_with(ByteView read_ahead);
  /// Makes the buffer for reads, which holds nothing now, fit what the last one brought.
  void fit_reads();
  /// Makes `out`, which holds nothing now, fit a write of `size` bytes, as fit_reads() does.
  void fit_writes(std::size_t size);
  /// From now on `ssl` reads and writes here; `this` must outlive it, in its place.
  void attach_to(SSL* ssl);
};

}  // namespace hagring
