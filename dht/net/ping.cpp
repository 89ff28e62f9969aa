// SPDX-License-Identifier: Apache-2.0
#include "dht/net/ping.hpp"

#include <array>

#include "dht/net/exact.hpp"

namespace hagring::dht {

awaitable<void> answer_pings(ByteStream& stream) {
  stream.set_inactivity_limit(std::chrono::minutes(2));
  std::array<std::uint8_t, 32> block{};
  while (co_await read_exactly(stream, block)) {
    if (!co_await stream.write(block)) co_return;
  }
  (void)co_await stream.shutdown_write();
}

}  // namespace hagring::dht
