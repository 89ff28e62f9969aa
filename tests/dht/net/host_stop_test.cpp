// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/write.hpp>

#include "tests/dht/net/hosts.hpp"
#include "userspace/base/socket_stream.hpp"

namespace hagring::dht {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;
using test::kEcho;

struct HostStop : test::Hosts {
  static constexpr Duration kPrompt = 1s;

  void expect_prompt_stop(Host& host) {
    const auto begun = std::chrono::steady_clock::now();
    stop(host);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, kPrompt);
    EXPECT_EQ(host.counters().connections, 0U);
  }
  static HostOptions patient(std::optional<NetworkKey> key = std::nullopt) {
    auto patient = options();
    patient.upgrade_limit = 60s;
    patient.dial_limit = 60s;
    patient.negotiation_limit = 60s;
    patient.network_key = key;
    return patient;
  }
  /// Sends `sent` and stalls.
  std::unique_ptr<ByteStream> stall(const Host& host, std::string_view sent) {
    auto stream = std::make_unique<SocketStream>(knock(host));
    EXPECT_TRUE(run(stream->write(as_bytes(sent))));
    return stream;
  }
  /// Begins a dial to a listener that answers with `sent` and stalls.
  struct Stalled {
    tcp::acceptor acceptor;
    std::optional<tcp::socket> socket = {};
    std::optional<error_code> error = {};
  };
  void dial_stalled(Host& host, Stalled& stalled, std::string_view sent) {
    tasks.spawn([&, sent]() -> awaitable<void> {
      stalled.socket = co_await stalled.acceptor.async_accept(asio::use_awaitable);
      co_await asio::async_write(*stalled.socket, asio::buffer(sent), kTuple);
    });
    tasks.spawn([&]() -> awaitable<void> {
      stalled.error =
          (co_await host.connect(stalled.acceptor.local_endpoint(), std::nullopt)).error();
    });
    ASSERT_TRUE(wait_for([&] { return stalled.socket.has_value(); }));
  }
};

constexpr std::string_view kHeader("\x13/multistream/1.0.0\n");
constexpr std::string_view kAgreed("\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n");

TEST_F(HostStop, DoesNotWaitForPeersThatStall) {
  for (const auto& key : {std::optional<NetworkKey>(), std::optional(NetworkKey{1})}) {
    auto& host = add(patient(key));
    std::vector<std::unique_ptr<ByteStream>> peers;
    for (const auto sent :
         {std::string_view(), kHeader.substr(0, 7), kHeader, kAgreed,
          std::string_view("\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n\x16\x03\x01", 35)}) {
      peers.push_back(stall(host, sent));
    }
    ASSERT_TRUE(wait_for([&] { return host.counters().accepted == peers.size(); }));
    wait_for([] { return false; }, 50ms);
    expect_prompt_stop(host);
  }
}

TEST_F(HostStop, DoesNotWaitForThoseItDials) {
  for (const auto sent : {std::string_view(), kHeader, kAgreed}) {
    auto& host = add(patient());
    Stalled stalled{tcp::acceptor(context, {asio::ip::make_address("127.0.0.1"), 0})};
    dial_stalled(host, stalled, sent);
    wait_for([] { return false; }, 20ms);
    expect_prompt_stop(host);
    run(tasks.drain());
    EXPECT_EQ(stalled.error, make_error_code(Errc::cancelled));
  }
}

TEST_F(HostStop, DoesNotWaitForAddressesThatSwallowPackets) {
  auto& a = add(patient());
  auto& b = add(patient());
  dialer.stalls = true;
  std::vector<error_code> errors;
  tasks.spawn([&]() -> awaitable<void> {
    errors.push_back((co_await a.connect(b.endpoint(), std::nullopt)).error());
  });
  tasks.spawn([&]() -> awaitable<void> {
    const std::vector<Multiaddr> addresses{Multiaddr::of(b.endpoint())};
    errors.push_back((co_await a.open(b.peer_id(), addresses, kEcho)).error());
  });
  ASSERT_TRUE(wait_for([&] { return dialer.dials == 2; }));
  expect_prompt_stop(a);
  run(tasks.drain());
  EXPECT_EQ(errors, std::vector<error_code>(2, Errc::cancelled));
}

TEST_F(HostStop, EndsStreamsHandlersAndThoseWhoWait) {
  auto& a = add(patient());
  auto& b = add(patient());
  bool ended = false;
  b.serve("/deaf/1", [&](Host::Inbound inbound) -> awaitable<void> {
    Bytes one(1);
    EXPECT_EQ((co_await inbound.stream->read_some(one)).error(), NetErrc::session_closed);
    ended = true;
  });
  auto stream = open(a, b, "/deaf/1");
  ASSERT_TRUE(stream);
  expect_prompt_stop(b);
  EXPECT_TRUE(ended);
  // A peer that is connected and answers no proposal.
  auto& c = add(patient());
  Bytes one(1);
  EXPECT_EQ(run((*stream)->read_some(one)).error(), NetErrc::session_closed);
  expect_prompt_stop(a);
  EXPECT_EQ(run(a.open(c.peer_id(), {Multiaddr::of(c.endpoint())}, kEcho)).error(),
            Errc::cancelled);
  EXPECT_EQ(connect(a, c).error(), Errc::cancelled);
}

TEST_F(HostStop, EndsADialInItsSharedWait) {
  auto& a = add(patient());
  auto& b = add(patient());
  tcp::acceptor silent(context, {asio::ip::make_address("127.0.0.1"), 0});
  const std::vector<Multiaddr> addresses{Multiaddr::of(silent.local_endpoint())};
  std::vector<error_code> errors;
  for (int i = 0; i < 3; ++i) {
    tasks.spawn([&]() -> awaitable<void> {
      errors.push_back((co_await a.open(b.peer_id(), addresses, kEcho)).error());
    });
  }
  ASSERT_TRUE(wait_for([&] { return dialer.dials == 1; }));
  expect_prompt_stop(a);
  run(tasks.drain());
  EXPECT_EQ(errors, std::vector<error_code>(3, Errc::cancelled));
}

TEST_F(HostStop, SaysWhenTheAddressIsTaken) {
  auto& a = add();
  auto taken = options();
  taken.listen = a.endpoint();
  const auto identity = Identity::generate();
  Host host(context.get_executor(), *clock, identity, dialer, taken);
  try {
    host.start();
    ADD_FAILURE() << "it started";
  } catch (const StartError& error) {
    EXPECT_NE(std::string_view(error.what()).find(std::to_string(a.endpoint().port())),
              std::string_view::npos);
  }
}

}  // namespace
}  // namespace hagring::dht
