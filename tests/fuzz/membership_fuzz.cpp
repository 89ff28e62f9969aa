// SPDX-License-Identifier: Apache-2.0
// A member's port and dialler against a stranger who sends any bytes in TLS's place, or speaks TLS
// and sends any bytes in the proof's place. The first byte says what the stranger does, the second
// how the bytes are cut, the third how many of the proof's place and behind it are sent.
#include "dht/net/membership.hpp"

#include <algorithm>

#include "dht/net/error.hpp"
#include "tests/dht/net/both.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/peer_bytes.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/support/manual_clock.hpp"

namespace {

using namespace hagring;
using namespace hagring::dht;
using fuzz::require;

enum Flag : std::uint8_t {
  dials = 1,            // the stranger dials, else it is dialled
  raw = 2,              // it sends the rest in TLS's place
  wrong_role = 4,       // the proof that it begins with is of the other role
  ids_swapped = 8,      // or of the peers in the other order
  other_protocol = 16,  // it speaks libp2p's TLS and not the members'
  breaks_off = 32       // it goes without a word after what it has sent
};

Identity identity(std::uint8_t seed) {
  std::array<std::uint8_t, 32> bytes{};
  bytes.fill(seed);
  return Identity::from_seed(bytes);
}

struct Ends {
  hagring::test::ManualClock clock;
  MeshKey key{7};
  MemberProver prover{key};
  Identity ours = identity(1), theirs = identity(2);
  MemberSecurity member{ours, key, clock};
  TlsSecurity stranger{
      theirs, clock, {.protocols = {kMemberProtocol}, .exporter_label = kMemberExporterLabel}};
  TlsSecurity libp2p{theirs, clock, {.exporter_label = kMemberExporterLabel}};
};

Ends& ends() {
  static Ends the_ends;
  return the_ends;
}

/// The client is whoever dials.
MemberProof proof(MemberRole role, ByteView exported, bool we_dial) {
  const auto& ours = ends().ours.peer_id();
  const auto& theirs = ends().theirs.peer_id();
  return ends().prover.prove(role, exported, we_dial ? ours : theirs, we_dial ? theirs : ours);
}

/// What the stranger sent above TLS, and what came.
struct Seen {
  Bytes sent, came;
  MemberProof right{}, of_member{};
};

class Exchange {
 public:
  Exchange(std::uint8_t flags, std::size_t size, ByteView bytes)
      : flags_(flags), we_dial_((flags & dials) == 0), size_(size), bytes_(bytes) {}

  awaitable<Result<Seen>> stranger(std::unique_ptr<ByteStream> below) {
    auto& tls = (flags_ & other_protocol) != 0 ? ends().libp2p : ends().stranger;
    Result<SecureConnection> secure = error_code();
    if (we_dial_) {
      secure = co_await tls.accept(std::move(below));
    } else {
      secure = co_await tls.connect(std::move(below), ends().ours.peer_id());
    }
    if (!secure) co_return secure.error();
    auto seen = make(secure->exported);
    (void)co_await secure->stream->write(seen.sent);
    if ((flags_ & breaks_off) != 0) co_return seen;
    (void)co_await secure->stream->shutdown_write();
    seen.came = co_await fuzz::read_rest(*secure->stream);
    co_return seen;
  }

  /// All that comes behind the proofs, with a member.
  awaitable<Result<Seen>> member(std::unique_ptr<ByteStream> below) {
    Result<MemberSecurity::Member> found = error_code();
    TlsFailure failure;
    if (we_dial_) {
      found = co_await ends().member.connect(std::move(below), ends().theirs.peer_id(), &failure);
    } else {
      found = co_await ends().member.accept(std::move(below), &failure);
    }
    if (!found) {
      require(found.error() != Errc::bad_message && found.error() != Errc::timed_out);
      require(found.error() != NetErrc::not_a_member || !failure.reason.empty());
      co_return found.error();
    }
    require(found->peer == ends().theirs.peer_id());
    co_return Seen{.sent = {}, .came = co_await fuzz::read_rest(*found->stream)};
  }

  void check(const Result<Seen>& stranger, const Result<Seen>& member) const {
    if (!stranger) return require(!member);
    const ByteView sent = stranger->sent;
    const bool right = sent.size() >= sizeof(MemberProof) &&
                       std::ranges::equal(sent.first(sizeof(MemberProof)), stranger->right);
    if ((flags_ & other_protocol) != 0 || !right) require(!member);
    if ((flags_ & breaks_off) != 0) return;
    require(member.has_value() == right);
    if (member) require(std::ranges::equal(member->came, sent.subspan(sizeof(MemberProof))));
    // A stranger who dials gets nothing, one who is dialled only the client's proof.
    const ByteView came = stranger->came;
    require(came.empty() ? !we_dial_ && !right : std::ranges::equal(came, stranger->of_member));
  }

 private:
  /// A proof, right or nearly so, with the input's bytes laid over it and behind it.
  Seen make(ByteView exported) const {
    Seen seen;
    const auto of_stranger = we_dial_ ? MemberRole::server : MemberRole::client;
    const auto of_member = we_dial_ ? MemberRole::client : MemberRole::server;
    seen.right = proof(of_stranger, exported, we_dial_);
    seen.of_member = proof(of_member, exported, we_dial_);
    const auto first = proof((flags_ & wrong_role) != 0 ? of_member : of_stranger, exported,
                             we_dial_ != ((flags_ & ids_swapped) != 0));
    seen.sent.assign(first.begin(), first.end());
    seen.sent.resize(std::max(seen.sent.size(), bytes_.size()));
    for (std::size_t i = 0; i < bytes_.size(); ++i) seen.sent[i] ^= bytes_[i];
    seen.sent.resize(std::min(size_, seen.sent.size()));
    return seen;
  }

  std::uint8_t flags_;
  bool we_dial_;
  std::size_t size_;
  ByteView bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input({data, size});
  const auto flags = input.byte();
  const auto segment = input.segment();
  const auto sent = input.segment();
  Exchange exchange(flags, sent, input.rest());
  if ((flags & raw) != 0) {
    const auto use = [&](std::unique_ptr<ByteStream> near, ByteStream&) -> awaitable<void> {
      require(!(co_await exchange.member(std::move(near))).has_value());
    };
    fuzz::with_peer_bytes(input.rest(), segment, use);
    return 0;
  }
  asio::io_context context;
  auto [far, near] = hagring::test::make_memory_pipe(context.get_executor(), {.max_read = segment});
  const auto [stranger, member] =
      dht::test::both(context, exchange.stranger(std::move(far)), exchange.member(std::move(near)));
  exchange.check(stranger, member);
  return 0;
}
