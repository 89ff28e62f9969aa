// SPDX-License-Identifier: Apache-2.0
// Protocol negotiation with a peer that sends anything. The first byte chooses our side of it, the
// second how the bytes are cut.
#include "dht/net/multistream.hpp"

#include "tests/fuzz/input.hpp"
#include "tests/fuzz/peer_bytes.hpp"
#include "tests/fuzz/require.hpp"

namespace {

using namespace hagring;
using fuzz::require;

const std::vector<std::string> kOurs = {"/tls/1.0.0", "/yamux/1.0.0", "/ipfs/id/1.0.0"};
/// The most that answering sixteen proposals or making three may take.
constexpr std::size_t kMaxAnswer = 256;

/// What stands behind the last token must still be there, whole.
void check_rest(ByteView sent, ByteView rest) {
  require(rest.size() < sent.size());
  const auto taken = sent.size() - rest.size();
  require(sent[taken - 1] == '\n');
  require(std::ranges::equal(sent.subspan(taken), rest));
}

awaitable<void> agree(bool propose, ByteView sent, ByteStream& near) {
  const auto agreed = propose ? co_await dht::propose_protocol(near, kOurs)
                              : co_await dht::answer_protocol(near, kOurs);
  if (!agreed) co_return;
  require(std::ranges::find(kOurs, *agreed) != kOurs.end());
  const auto rest = co_await fuzz::read_rest(near);
  check_rest(sent, rest);
}

awaitable<void> use_lazily(bool write_first, ByteView sent, std::unique_ptr<ByteStream> near) {
  auto lazy = dht::propose_lazily(std::move(near), kOurs[0]);
  if (write_first) (void)co_await lazy->write(as_bytes("request"));
  Bytes one(1);
  const auto first = co_await lazy->read_some(one);
  if (first) {
    auto rest = co_await fuzz::read_rest(*lazy);
    rest.insert(rest.begin(), one[0]);
    check_rest(sent, rest);
  }
  (void)co_await lazy->write(as_bytes("more"));
  (void)co_await lazy->shutdown_write();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input({data, size});
  const auto side = input.byte() % 4;
  const auto segment = input.segment();
  const auto sent = input.rest();
  const auto use = [&](std::unique_ptr<ByteStream> near, ByteStream& far) -> awaitable<void> {
    if (side < 2) {
      co_await agree(side == 0, sent, *near);
      near.reset();
    } else {
      co_await use_lazily(side == 2, sent, std::move(near));
    }
    const auto answer = co_await fuzz::read_rest(far);
    require(answer.size() <= kMaxAnswer);
  };
  fuzz::with_peer_bytes(sent, segment, use);
  return 0;
}
