// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/byte_stream.hpp"

#include <array>

namespace hagring {

awaitable<void> linger_close(ByteStream& stream, Duration limit, std::size_t max_bytes) {
  stream.set_inactivity_limit(limit);
  if (co_await stream.shutdown_write()) {
    std::array<std::uint8_t, 4096> dropped;
    std::size_t total = 0;
    while (total < max_bytes) {
      const auto size = co_await stream.read_some(dropped);
      if (!size) break;
      total += *size;
    }
  }
  stream.close();
}

}  // namespace hagring
