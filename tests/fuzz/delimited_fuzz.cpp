// SPDX-License-Identifier: Apache-2.0
// Messages behind their lengths, as a peer sends them one after another. The first byte chooses the
// longest that is taken, the second how the bytes are cut.
#include "dht/multiformats/varint.hpp"
#include "dht/net/exact.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/peer_bytes.hpp"
#include "tests/fuzz/require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hagring;
  using fuzz::require;
  static constexpr std::size_t kMost[] = {16, 1024, 65536, std::size_t{4} << 20};
  fuzz::Input input({data, size});
  const auto most = kMost[input.byte() % 4];
  const auto segment = input.segment();
  const auto sent = input.rest();
  const auto use = [&](std::unique_ptr<ByteStream> near, ByteStream& far) -> awaitable<void> {
    Bytes written;
    while (true) {
      const auto message = co_await dht::read_delimited(*near, most);
      if (!message) {
        require(message.error() != Errc::end_of_stream || written.size() == sent.size());
        break;
      }
      require(message->size() <= most);
      dht::append_varint(written, message->size());
      written.insert(written.end(), message->begin(), message->end());
      require((co_await dht::write_delimited(*near, *message)).has_value());
    }
    // Each length has one form only, so that what was taken, written anew, is what was sent.
    require(written.size() <= sent.size());
    require(std::ranges::equal(written, sent.first(written.size())));
    near.reset();
    const auto echo = co_await fuzz::read_rest(far);
    require(echo == written);
  };
  fuzz::with_peer_bytes(sent, segment, use);
  return 0;
}
