// SPDX-License-Identifier: Apache-2.0
// A private network: the text of its key file, and streams with any nonce cut anywhere. The first
// byte chooses which.
#include "dht/net/pnet.hpp"

#include "tests/fuzz/input.hpp"
#include "tests/fuzz/peer_bytes.hpp"
#include "tests/fuzz/require.hpp"

namespace {

using namespace hagring;
using fuzz::require;

constexpr dht::NetworkKey kKey{1, 2, 3};
constexpr dht::NetworkNonce kOurNonce{4, 5, 6};

void read_key(std::string_view text) {
  const auto key = dht::parse_network_key(text);
  if (!key) return;
  require(dht::parse_network_key(to_hex(*key)) == key);
  require(dht::parse_network_key(dht::write_network_key(*key)) == key);
}

/// A peer that sends anything: each byte behind the nonce comes out.
void read_anything(ByteView sent, std::size_t segment) {
  const auto use = [&](std::unique_ptr<ByteStream> near, ByteStream& far) -> awaitable<void> {
    auto ours = dht::join_private_network(std::move(near), kKey, kOurNonce);
    const auto got = co_await fuzz::read_rest(*ours);
    const auto nonce = std::min(sent.size(), sizeof(dht::NetworkNonce));
    require(got.size() == sent.size() - nonce);
    (void)co_await ours->shutdown_write();
    const auto introduction = co_await fuzz::read_rest(far);
    require(std::ranges::equal(introduction, kOurNonce));
  };
  fuzz::with_peer_bytes(sent, segment, use);
}

/// A peer with the key: what it writes, in pieces of any size, is what we read.
void carry(fuzz::Input input, std::size_t segment) {
  dht::NetworkNonce nonce{};
  std::ranges::copy(input.bytes(nonce.size()), nonce.begin());
  const auto piece = input.segment();
  const auto text = input.rest();
  const auto use = [&](std::unique_ptr<ByteStream> near, ByteStream&) -> awaitable<void> {
    auto [a, b] =
        test::make_memory_pipe(co_await asio::this_coro::executor,
                               {.max_read = segment, .capacity = text.size() + 64 * 1024});
    near.reset();
    auto theirs = dht::join_private_network(std::move(a), kKey, nonce);
    auto ours = dht::join_private_network(std::move(b), kKey, kOurNonce);
    for (auto rest = text; !rest.empty(); rest = rest.subspan(std::min(piece, rest.size()))) {
      (void)co_await theirs->write(rest.first(std::min(piece, rest.size())));
    }
    (void)co_await theirs->shutdown_write();
    const auto got = co_await fuzz::read_rest(*ours);
    require(std::ranges::equal(got, text));
  };
  fuzz::with_peer_bytes({}, segment, use);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input({data, size});
  const auto kind = input.byte() % 3;
  if (kind == 0) {
    read_key(as_text(input.rest()));
    return 0;
  }
  const auto segment = input.segment();
  if (kind == 1) {
    read_anything(input.rest(), segment);
  } else {
    carry(input, segment);
  }
  return 0;
}
