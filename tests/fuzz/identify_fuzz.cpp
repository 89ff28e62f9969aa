// SPDX-License-Identifier: Apache-2.0
// What a peer says of itself: messages behind their lengths, up to its end. The first byte says how
// the bytes are cut.
#include "dht/net/identify.hpp"

#include <algorithm>

#include "dht/net/exact.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/peer_bytes.hpp"
#include "tests/fuzz/require.hpp"

namespace {

using namespace hagring;
using dht::IdentifyMessage;
using fuzz::require;

bool equal(const IdentifyMessage& a, const IdentifyMessage& b) {
  if (a.key.has_value() != b.key.has_value()) return false;
  return (!a.key || a.key->message() == b.key->message()) &&
         a.listen_addresses == b.listen_addresses && a.protocols == b.protocols &&
         a.observed_address == b.observed_address && a.protocol_version == b.protocol_version &&
         a.agent_version == b.agent_version;
}

void check_limits(const IdentifyMessage& message) {
  require(message.listen_addresses.size() <= IdentifyMessage::kMaxAddresses);
  require(message.protocols.size() <= IdentifyMessage::kMaxProtocols);
  for (const auto& protocol : message.protocols) {
    require(!protocol.empty() && protocol.size() <= IdentifyMessage::kMaxText);
  }
  require(message.protocol_version.size() <= IdentifyMessage::kMaxText);
  require(message.agent_version.size() <= IdentifyMessage::kMaxText);
}

/// Whether `part` is `all` with some of it left out.
template <typename T>
bool is_selection(const std::vector<T>& part, const std::vector<T>& all) {
  auto rest = all.begin();
  for (const auto& value : part) {
    rest = std::find(rest, all.end(), value);
    if (rest == all.end()) return false;
    ++rest;
  }
  return true;
}

/// Written anew it says the same, without what there is no room for.
IdentifyMessage check_encoding(const IdentifyMessage& message) {
  const auto bytes = dht::encode_identify(message);
  require(bytes.size() <= IdentifyMessage::kMaxSize);
  auto again = dht::decode_identify(bytes);
  require(again.has_value());
  require(is_selection(again->protocols, message.protocols));
  require(is_selection(again->listen_addresses, message.listen_addresses));
  auto whole = *again;
  whole.protocols = message.protocols;
  whole.listen_addresses = message.listen_addresses;
  require(equal(whole, message));
  return *again;
}

/// The messages' bytes behind each other, as far as they are whole; whether that is all of `sent`.
awaitable<std::pair<Bytes, bool>> join(ByteView sent) {
  asio::any_io_executor executor = co_await asio::this_coro::executor;
  auto [far, near] = test::make_memory_pipe(executor, {.capacity = sent.size() + 1});
  (void)co_await far->write(sent);
  (void)co_await far->shutdown_write();
  std::pair<Bytes, bool> joined;
  for (int messages = 0;; ++messages) {
    const auto one = co_await dht::read_delimited(*near, IdentifyMessage::kMaxSize);
    joined.second = !one && one.error() == Errc::end_of_stream && messages > 0 &&
                    messages <= IdentifyMessage::kMaxMessages;
    if (!one) co_return joined;
    joined.first.insert(joined.first.end(), one->begin(), one->end());
  }
}

awaitable<void> use(ByteView sent, std::unique_ptr<ByteStream> near, ByteStream& far) {
  const auto message = co_await dht::read_identify(*near);
  const auto joined = co_await join(sent);
  const auto expected = dht::decode_identify(joined.first);
  require(message.has_value() == (joined.second && expected.has_value()));
  if (!message) co_return;
  require(equal(*message, *expected));
  check_limits(*message);
  const auto written = check_encoding(*message);
  require((co_await dht::write_identify(*near, *message)).has_value());
  const auto echo = co_await dht::read_identify(far);
  require(echo.has_value() && equal(*echo, written));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input({data, size});
  const auto segment = input.segment();
  const auto sent = input.rest();
  fuzz::with_peer_bytes(sent, segment, [&](std::unique_ptr<ByteStream> near, ByteStream& far) {
    return use(sent, std::move(near), far);
  });
  // Without lengths before it, as one message.
  if (const auto message = dht::decode_identify(sent)) {
    check_limits(*message);
    check_encoding(*message);
  }
  return 0;
}
