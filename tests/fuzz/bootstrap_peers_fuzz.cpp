// SPDX-License-Identifier: Apache-2.0
// The body of an HTTP bootstrap's answer. The first byte is how many addresses may be taken.
#include "dht/bootstrap.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/require.hpp"

namespace {

using namespace hagring;
using dht::BootstrapPeer;
using fuzz::require;

/// The same addresses as an answer of another bootstrap would have them, one peer for each.
std::string write(const std::vector<BootstrapPeer>& peers) {
  std::string json = "[";
  for (const auto& [address, peer] : peers) {
    if (json.size() > 1) json += ',';
    const auto ip = address.address();
    json += R"({"Addrs":["/)" + std::string(ip.is_v4() ? "ip4/" : "ip6/") + ip.to_string() +
            "/tcp/" + std::to_string(address.port()) + R"("],"ID":")" + peer->to_string() + R"("})";
  }
  return json + "]";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input({data, size});
  const std::size_t max = input.byte();
  const auto json = as_text(input.rest());
  const auto peers = dht::parse_bootstrap_peers(json, max);
  if (!peers) return 0;
  require(peers->size() <= max);
  for (const auto& peer : *peers) require(peer.peer.has_value());
  const auto again = dht::parse_bootstrap_peers(write(*peers), max);
  require(again.has_value() && *again == *peers);
  // With a lower limit the first of them are left.
  const auto fewer = dht::parse_bootstrap_peers(json, max / 2);
  require(fewer.has_value() && fewer->size() == std::min(max / 2, peers->size()));
  require(std::equal(fewer->begin(), fewer->end(), peers->begin()));
  return 0;
}
