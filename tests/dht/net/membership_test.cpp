// SPDX-License-Identifier: Apache-2.0
#include "dht/net/membership.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dht/net/error.hpp"
#include "dht/net/exact.hpp"
#include "tests/dht/net/both.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/memory_stream.hpp"

namespace hagring::dht {
namespace {

using namespace std::chrono_literals;

MeshKey key_of(std::uint8_t byte) {
  MeshKey key{};
  key.fill(byte);
  return key;
}

PeerId peer_of(std::uint8_t byte) {
  auto bytes = *from_hex("002408011220");
  bytes.resize(38, byte);
  return *PeerId::from_bytes(bytes);
}

// Computed with Python's hmac module from the definitions in the header.
TEST(MemberProver, MakesTheProofsThatItsDefinitionSays) {
  MeshKey key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  const MemberProver prover(key);
  const Bytes exported(32, 3);
  EXPECT_EQ(to_hex(prover.prove(MemberRole::client, exported, peer_of(1), peer_of(2))),
            "ef22efc648b4b165b8a0c1bb100949d067dfa365f8b65c97054d3823e2a627b6");
  EXPECT_EQ(to_hex(prover.prove(MemberRole::server, exported, peer_of(1), peer_of(2))),
            "4dc62b245777f46cab400ba1077b68a512001309153f72d9e9f8fc8d3eac2de4");
}

TEST(MemberProver, EachPartOfWhatIsProvedCounts) {
  const MemberProver prover(key_of(1));
  const Bytes exported(32, 3);
  const auto proof = prover.prove(MemberRole::client, exported, peer_of(1), peer_of(2));
  EXPECT_NE(proof, prover.prove(MemberRole::server, exported, peer_of(1), peer_of(2)));
  EXPECT_NE(proof, prover.prove(MemberRole::client, Bytes(32, 4), peer_of(1), peer_of(2)));
  EXPECT_NE(proof, prover.prove(MemberRole::client, exported, peer_of(2), peer_of(1)));
  EXPECT_NE(proof, prover.prove(MemberRole::client, exported, peer_of(1), peer_of(3)));
  EXPECT_NE(proof, prover.prove(MemberRole::client, exported, peer_of(3), peer_of(2)));
  EXPECT_NE(proof,
            MemberProver(key_of(2)).prove(MemberRole::client, exported, peer_of(1), peer_of(2)));
}

using Member = MemberSecurity::Member;

struct Membership : testing::Test {
  asio::io_context context;
  hagring::test::ManualClock clock;
  Identity client_identity = Identity::generate();
  Identity server_identity = Identity::generate();
  MemberSecurity client{client_identity, key_of(7), clock};
  MemberSecurity server{server_identity, key_of(7), clock};
  /// These speak TLS as members do, but prove what the test likes.
  TlsOptions members{.protocols = {kMemberProtocol}, .exporter_label = kMemberExporterLabel};
  TlsSecurity rogue{Identity::generate(), clock, members};
  TlsSecurity rogue_client{client_identity, clock, members};
  TlsSecurity rogue_server{server_identity, clock, members};
  TlsFailure failure;
  std::unique_ptr<ByteStream> a, b;
  Membership() { pipe(); }

  void pipe(std::size_t max_read = SIZE_MAX) {
    std::tie(a, b) =
        hagring::test::make_memory_pipe(context.get_executor(), {.max_read = max_read});
  }

  using Behaviour = std::function<awaitable<Bytes>(SecureConnection&)>;

  /// Dials with the client's identity, then does what `behave` does, and gives back all that comes.
  awaitable<Result<Bytes>> dial(TlsSecurity& tls, Behaviour behave) {
    CO_TRY(auto secure, co_await tls.connect(std::move(a), server_identity.peer_id()));
    (void)co_await secure.stream->write(co_await behave(secure));
    (void)co_await secure.stream->shutdown_write();
    co_return co_await rest_of(*secure.stream);
  }

  /// Answers with the server's identity in the same way; gives back what came after the proof.
  awaitable<Result<Bytes>> answer(Behaviour behave) {
    CO_TRY(auto secure, co_await rogue_server.accept(std::move(b)));
    (void)co_await secure.stream->write(co_await behave(secure));
    (void)co_await secure.stream->shutdown_write();
    co_return co_await rest_of(*secure.stream);
  }

  /// How a handshake ends; the connection ends with it.
  static awaitable<error_code> outcome(awaitable<Result<Member>> handshake) {
    const auto member = co_await std::move(handshake);
    co_return member ? error_code() : member.error();
  }

  static awaitable<Bytes> rest_of(ByteStream& stream) {
    Bytes all, part(1024);
    while (const auto size = co_await stream.read_some(part)) {
      all.insert(all.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(*size));
    }
    co_return all;
  }

  /// The client against a server that behaves so: what the client ended with. It must not have sent
  /// anything beyond its proof.
  error_code against_server(Behaviour behave) {
    pipe();
    failure = {};
    auto [out, in] = test::both(
        context, outcome(client.connect(std::move(a), server_identity.peer_id(), &failure)),
        answer(std::move(behave)));
    EXPECT_TRUE(in && in->empty());
    return out;
  }

  /// The server against a client that behaves so; the client must not have been sent a byte.
  error_code against_client(TlsSecurity& tls, Behaviour behave) {
    pipe();
    failure = {};
    auto [out, in] = test::both(context, dial(tls, std::move(behave)),
                                outcome(server.accept(std::move(b), &failure)));
    EXPECT_TRUE(out && out->empty());
    return in;
  }

  static awaitable<Bytes> proof_from(SecureConnection& secure) {
    Bytes proof(sizeof(MemberProof));
    (void)co_await read_exactly(*secure.stream, proof);
    co_return proof;
  }
};

TEST_F(Membership, MembersMeetAndWhatFollowsIsTheirs) {
  for (const std::size_t at_once : {SIZE_MAX, std::size_t{1}}) {
    pipe(at_once);
    auto [out, in] = test::both(context, client.connect(std::move(a), server_identity.peer_id()),
                                server.accept(std::move(b)));
    ASSERT_TRUE(out && in);
    EXPECT_EQ(out->peer, server_identity.peer_id());
    EXPECT_EQ(in->peer, client_identity.peer_id());
    for (auto* ends : {&*out, &*in}) {
      auto& other = ends == &*out ? *in : *out;
      ASSERT_TRUE(hagring::test::run(context, ends->stream->write(as_bytes("hello"))));
      Bytes into(5);
      ASSERT_TRUE(hagring::test::run(context, read_exactly(*other.stream, into)));
      EXPECT_EQ(as_text(into), "hello");
    }
  }
}

TEST_F(Membership, AnotherPeerThanTheOneNamedGetsNoProof) {
  auto [out, in] =
      test::both(context, client.connect(std::move(a), client_identity.peer_id(), &failure),
                 server.accept(std::move(b)));
  EXPECT_EQ(out.error(), NetErrc::wrong_peer);
  EXPECT_EQ(failure.peer, server_identity.peer_id());
  EXPECT_FALSE(in);
}

TEST_F(Membership, AnotherMeshsKeyIsRefusedByBothAndEachKnowsWhy) {
  MemberSecurity stranger(client_identity, key_of(8), clock);
  TlsFailure refused;
  auto [out, in] =
      test::both(context, stranger.connect(std::move(a), server_identity.peer_id(), &refused),
                 server.accept(std::move(b), &failure));
  EXPECT_EQ(out.error(), NetErrc::not_a_member);
  EXPECT_EQ(refused.reason, "it ended the connection at our proof of the mesh key");
  EXPECT_EQ(in.error(), NetErrc::not_a_member);
  EXPECT_EQ(failure.reason, "its proof of the mesh key is wrong");
}

TEST_F(Membership, AServerThatProvesNothingSeesNoRequest) {
  EXPECT_EQ(against_server([](SecureConnection& secure) -> awaitable<Bytes> {
              (void)co_await proof_from(secure);
              co_return Bytes();
            }),
            NetErrc::not_a_member);
  // Reflected: what the client itself has proved.
  EXPECT_EQ(against_server(&Membership::proof_from), NetErrc::not_a_member);
  EXPECT_EQ(failure.reason, "its proof of the mesh key is wrong");
  // Truncated.
  EXPECT_EQ(against_server([](SecureConnection& secure) -> awaitable<Bytes> {
              auto proof = co_await proof_from(secure);
              proof.pop_back();
              co_return proof;
            }),
            NetErrc::not_a_member);
}

TEST_F(Membership, ARightProofOfTheWrongKindIsRefused) {
  const MemberProver prover(key_of(7));
  const auto& client_id = client_identity.peer_id();
  const auto& server_id = server_identity.peer_id();
  const auto proves = [&](MemberRole role, const PeerId& first, const PeerId& second) -> Behaviour {
    return [&prover, role, first, second](SecureConnection& secure) -> awaitable<Bytes> {
      const auto proof = prover.prove(role, secure.exported, first, second);
      co_return Bytes(proof.begin(), proof.end());
    };
  };
  const auto proves_after_reading = [&](MemberRole role, const PeerId& first,
                                        const PeerId& second) -> Behaviour {
    return [make = proves(role, first, second)](SecureConnection& secure) -> awaitable<Bytes> {
      (void)co_await proof_from(secure);
      co_return co_await make(secure);
    };
  };
  // The harness itself is right: these are taken.
  EXPECT_EQ(against_server(proves_after_reading(MemberRole::server, client_id, server_id)),
            error_code());
  EXPECT_EQ(against_server(proves_after_reading(MemberRole::client, client_id, server_id)),
            NetErrc::not_a_member);
  EXPECT_EQ(against_server(proves_after_reading(MemberRole::server, server_id, client_id)),
            NetErrc::not_a_member);
  EXPECT_EQ(against_client(rogue_client, proves(MemberRole::server, client_id, server_id)),
            NetErrc::not_a_member);
  EXPECT_EQ(against_client(rogue_client, proves(MemberRole::client, server_id, client_id)),
            NetErrc::not_a_member);
  // A member's proof in a stranger's hand.
  EXPECT_EQ(against_client(rogue, proves(MemberRole::client, client_id, server_id)),
            NetErrc::not_a_member);
}

TEST_F(Membership, AProofIsGoodForItsConnectionOnly) {
  Bytes recorded;
  EXPECT_EQ(against_server([&](SecureConnection& secure) -> awaitable<Bytes> {
              recorded = co_await proof_from(secure);
              co_return Bytes();
            }),
            NetErrc::not_a_member);
  ASSERT_EQ(recorded.size(), sizeof(MemberProof));
  const auto replay = [&](SecureConnection&) -> awaitable<Bytes> { co_return recorded; };
  EXPECT_EQ(against_client(rogue_client, replay), NetErrc::not_a_member);
  EXPECT_EQ(against_client(rogue, replay), NetErrc::not_a_member);
}

TEST_F(Membership, AClientThatEndsEarlyGetsNothing) {
  for (const std::size_t size : {0U, 1U, 31U}) {
    const auto part = [&](SecureConnection&) -> awaitable<Bytes> { co_return Bytes(size); };
    EXPECT_EQ(against_client(rogue, part), size == 0 ? Errc::end_of_stream : Errc::truncated);
  }
  // More than a proof, all at once.
  const auto flood = [&](SecureConnection&) -> awaitable<Bytes> { co_return Bytes(20'000); };
  EXPECT_EQ(against_client(rogue, flood), NetErrc::not_a_member);
}

TEST_F(Membership, LibP2pAloneIsNotEnough) {
  TlsSecurity libp2p(client_identity, clock);
  auto [out, in] = test::both(context, libp2p.connect(std::move(a), server_identity.peer_id()),
                              server.accept(std::move(b), &failure));
  EXPECT_EQ(out.error(), NetErrc::no_common_protocol);
  EXPECT_EQ(in.error(), NetErrc::handshake_failed);
}

TEST_F(Membership, WhoStallsIsLeftAtTheDeadline) {
  const auto stalled = [&](awaitable<Result<Member>> operation) {
    auto result = asio::co_spawn(context, outcome(std::move(operation)), asio::use_future);
    context.restart();
    context.poll();
    clock.advance(5s - 1ms);
    context.restart();
    context.poll();
    EXPECT_EQ(result.wait_for(0s), std::future_status::timeout);
    clock.advance(1ms);
    for (int i = 0; i < 100 && result.wait_for(0s) != std::future_status::ready; ++i) {
      context.restart();
      context.poll();
    }
    EXPECT_EQ(result.get(), Errc::timed_out);
  };
  stalled(server.accept(std::move(b)));
  pipe();
  stalled(client.connect(std::move(a), server_identity.peer_id()));
}

TEST_F(Membership, AProofThatDribblesInIsLeftAtTheDeadline) {
  const auto dribble = [&]() -> awaitable<Result<int>> {
    CO_TRY(auto secure, co_await rogue.connect(std::move(a), server_identity.peer_id()));
    int sent = 0;
    for (; sent < 32 && co_await secure.stream->write(Bytes(1)); ++sent) {
      clock.advance(1s);
      // Whatever is woken by that runs before the next byte.
      for (int i = 0; i < 20; ++i) co_await asio::post(kTuple);
    }
    co_return sent;
  };
  auto [out, in] = test::both(context, dribble(), server.accept(std::move(b)));
  EXPECT_EQ(in.error(), Errc::timed_out);
  EXPECT_LE(*out, 6);
}

}  // namespace
}  // namespace hagring::dht
