// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "dht/mesh_key.hpp"
#include "dht/net/tls.hpp"

namespace hagring::dht {

/// What members' ports speak above TLS, by ALPN: two proofs of membership, then whatever the user
/// of the stream does.
inline constexpr const char* kMemberProtocol = "hagring-member/1";
/// RFC 5705, section 4: labels without a registration begin so.
inline constexpr const char* kMemberExporterLabel = "EXPERIMENTAL hagring member";

/// One end's proof that it holds the mesh key, good for one end of one connection.
using MemberProof = std::array<std::uint8_t, 32>;
enum class MemberRole : std::uint8_t { client = 'C', server = 'S' };

/// Makes proofs: HMAC-SHA256, under a key derived from the mesh key (HKDF, RFC 5869, a label of its
/// own, so that pnet's cipher and these proofs never use the same key), over a label, the role, the
/// connection's exported keying material and both peer IDs. The exported material alone would not
/// do: TLS 1.3 computes it before the client has shown its certificate.
class MemberProver {
 public:
  explicit MemberProver(const MeshKey& key);
  ~MemberProver();
  MemberProver(const MemberProver&) = delete;
  MemberProver& operator=(const MemberProver&) = delete;

  MemberProof prove(MemberRole role, ByteView exported, const PeerId& client,
                    const PeerId& server) const;

 private:
  std::array<std::uint8_t, 32> key_{};
};

/// TLS between members of the mesh: libp2p's certificates both ways (TlsSecurity), then the
/// client's proof, then the server's. So a stranger who dials gets nothing but the TLS handshake,
/// and a stranger who is dialled sees no request: one round trip more than TLS alone, since the
/// client's proof travels with its last handshake message. Used from one thread.
class MemberSecurity {
 public:
  /// A connection to a proven member, behind the proofs.
  struct Member {
    std::unique_ptr<ByteStream> stream;
    PeerId peer;
  };

  /// Handshakes end after `limit`. `clock` must outlive this; handshakes under way must have ended
  /// before it goes.
  MemberSecurity(const Identity& identity, const MeshKey& key, Clock& clock,
                 Duration limit = std::chrono::seconds(5));

  /// Handshakes as the client with the peer that is `expected`.
  /// Errors: TlsSecurity's, but NetErrc::handshake_failed for Errc::bad_message;
  /// NetErrc::not_a_member (the other side holds another mesh key, or ended the connection at our
  /// proof), Errc::timed_out; `failure`, if given, says more.
  awaitable<Result<Member>> connect(std::unique_ptr<ByteStream> below, PeerId expected,
                                    TlsFailure* failure = nullptr);
  /// The same as the server.
  awaitable<Result<Member>> accept(std::unique_ptr<ByteStream> below,
                                   TlsFailure* failure = nullptr);

 private:
  awaitable<Result<Member>> in_time(awaitable<Result<Member>> handshake);
  awaitable<Result<Member>> prove_first(std::unique_ptr<ByteStream> below, PeerId expected,
                                        TlsFailure* failure);
  awaitable<Result<Member>> prove_second(std::unique_ptr<ByteStream> below, TlsFailure* failure);

  Clock& clock_;
  const Duration limit_;
  const PeerId self_;
  TlsSecurity tls_;
  MemberProver prover_;
};

}  // namespace hagring::dht
