// SPDX-License-Identifier: Apache-2.0
#include "dht/net/dial_backoff.hpp"

#include <gtest/gtest.h>

#include "dht/identity.hpp"
#include "tests/support/manual_clock.hpp"

namespace hagring::dht {
namespace {

using namespace std::chrono_literals;

struct Backoff : testing::Test {
  hagring::test::ManualClock clock;
  PeerId peer = Identity::generate().peer_id();
  PeerId other = Identity::generate().peer_id();
  asio::ip::tcp::endpoint address{asio::ip::make_address("192.0.2.1"), 5001};
};

TEST_F(Backoff, RestsTwiceAsLongEachTimeUpToALimit) {
  DialBackoff backoff(clock, {.first = 1s, .longest = 3s});
  for (const auto rest : {1s, 2s, 3s, 3s}) {
    backoff.failed(peer, address, Errc::timed_out);
    EXPECT_EQ(backoff.resting(peer, address), make_error_code(Errc::timed_out));
    clock.advance(rest - 1ms);
    EXPECT_TRUE(backoff.resting(peer, address));
    clock.advance(1ms);
    EXPECT_FALSE(backoff.resting(peer, address));
  }
}

TEST_F(Backoff, IsOfOneAddressOfOnePeer) {
  DialBackoff backoff(clock, {});
  backoff.failed(peer, address, Errc::timed_out);
  EXPECT_FALSE(backoff.resting(other, address));
  EXPECT_FALSE(backoff.resting(peer, {address.address(), 5002}));
  backoff.forget(other);
  EXPECT_TRUE(backoff.resting(peer, address));
  backoff.forget(peer);
  EXPECT_FALSE(backoff.resting(peer, address));
  // From the beginning again.
  backoff.failed(peer, address, Errc::timed_out);
  clock.advance(1s);
  EXPECT_FALSE(backoff.resting(peer, address));
}

TEST_F(Backoff, RemembersSoMany) {
  DialBackoff backoff(clock, {.max_entries = 2});
  for (const std::uint16_t port : {1, 2, 3}) {
    backoff.failed(peer, {address.address(), port}, Errc::timed_out);
    clock.advance(1ms);
  }
  EXPECT_FALSE(backoff.resting(peer, {address.address(), 1}));
  EXPECT_TRUE(backoff.resting(peer, {address.address(), 2}));
  EXPECT_TRUE(backoff.resting(peer, {address.address(), 3}));
}

}  // namespace
}  // namespace hagring::dht
