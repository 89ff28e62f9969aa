// SPDX-License-Identifier: Apache-2.0
// Host keys: a peer's public key and its signature (the first two bytes are the key's size), and
// our own identity's file.
#include "dht/identity.hpp"
#include "dht/public_key.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/require.hpp"

namespace {

using namespace hagring;
using namespace hagring::dht;
using fuzz::require;

/// What go-libp2p's fixtures sign, so that its signatures can stand in the corpus.
constexpr std::string_view kMessage = "Libp2p is the _best_!";

void read_public(fuzz::Input input) {
  std::size_t size = input.byte();
  size = size << 8 | input.byte();
  const auto message = input.bytes(size);
  const auto key = PublicKey::parse(message);
  if (!key) return;
  // However the fields were written, the key has one form and one name.
  const auto again = PublicKey::parse(key->message());
  require(again && again->message() == key->message() && again->type() == key->type());
  require(PeerId::from_bytes(key->peer_id().bytes()) == key->peer_id());
  const bool valid = key->verify(as_bytes(kMessage), input.rest());
  require(!valid || !key->verify(as_bytes("another message"), input.rest()));
  const auto copy = *key;
  require(copy.verify(as_bytes(kMessage), input.rest()) == valid);
}

void read_private(ByteView message) {
  const auto identity = Identity::from_message(message);
  if (!identity) return;
  const auto signature = identity->sign(as_bytes(kMessage));
  require(identity->public_key().verify(as_bytes(kMessage), signature));
  require(identity->peer_id() == identity->public_key().peer_id());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  read_public(fuzz::Input(bytes));
  read_private(bytes);
  return 0;
}
