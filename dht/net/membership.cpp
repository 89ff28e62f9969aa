// SPDX-License-Identifier: Apache-2.0
#include "dht/net/membership.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <stdexcept>

#include "dht/multiformats/varint.hpp"
#include "dht/net/error.hpp"
#include "dht/net/exact.hpp"
#include "userspace/base/deadline.hpp"

namespace hagring::dht {
namespace {

constexpr std::string_view kKeyLabel = "hagring member proof key 1";
constexpr std::string_view kProofLabel = "hagring member proof 1";

OSSL_PARAM octets(const char* name, ByteView bytes) {
  return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(bytes.data()),
                                           bytes.size());
}

/// HKDF-SHA256 without a salt.
void derive(ByteView from, std::string_view label, MutableBytes into) {
  std::unique_ptr<EVP_KDF, decltype(&EVP_KDF_free)> hkdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr),
                                                         EVP_KDF_free);
  std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context(EVP_KDF_CTX_new(hkdf.get()),
                                                                    EVP_KDF_CTX_free);
  std::string digest = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), digest.size()),
      octets(OSSL_KDF_PARAM_KEY, from), octets(OSSL_KDF_PARAM_INFO, as_bytes(label)),
      OSSL_PARAM_construct_end()};
  if (!context || EVP_KDF_derive(context.get(), into.data(), into.size(), parameters) != 1) {
    throw std::runtime_error("OpenSSL derives no key: " + take_openssl_error());
  }
}

void append(Bytes& to, ByteView bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

void append_delimited(Bytes& to, ByteView bytes) {
  append_varint(to, bytes.size());
  append(to, bytes);
}

bool same(const MemberProof& a, const MemberProof& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

error_code refuse(TlsFailure* failure, std::string reason) {
  if (failure) failure->reason = std::move(reason);
  return NetErrc::not_a_member;
}

/// Who chose no protocol at all is no member of ours: TLS lets that pass.
Result<void> check_protocol(const SecureConnection& secure, TlsFailure* failure) {
  if (secure.muxer == kMemberProtocol) return {};
  if (failure) failure->reason = "it doesn't speak the members' protocol";
  return NetErrc::no_common_protocol;
}

}  // namespace

MemberProver::MemberProver(const MeshKey& key) { derive(key, kKeyLabel, key_); }

MemberProver::~MemberProver() { OPENSSL_cleanse(key_.data(), key_.size()); }

MemberProof MemberProver::prove(MemberRole role, ByteView exported, const PeerId& client,
                                const PeerId& server) const {
  Bytes text;
  append_delimited(text, as_bytes(kProofLabel));
  text.push_back(static_cast<std::uint8_t>(role));
  append_delimited(text, exported);
  append_delimited(text, client.bytes());
  append_delimited(text, server.bytes());
  MemberProof proof{};
  unsigned size = 0;
  if (!HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()), text.data(), text.size(),
            proof.data(), &size) ||
      size != proof.size()) {
    throw std::runtime_error("OpenSSL makes no HMAC: " + take_openssl_error());
  }
  return proof;
}

MemberSecurity::MemberSecurity(const Identity& identity, const MeshKey& key, Clock& clock,
                               Duration limit)
    : clock_(clock),
      limit_(limit),
      self_(identity.peer_id()),
      tls_(identity, clock,
           {.protocols = {kMemberProtocol}, .exporter_label = kMemberExporterLabel}),
      prover_(key) {}

awaitable<Result<MemberSecurity::Member>> MemberSecurity::connect(std::unique_ptr<ByteStream> below,
                                                                  PeerId expected,
                                                                  TlsFailure* failure) {
  co_return co_await in_time(prove_first(std::move(below), std::move(expected), failure));
}

awaitable<Result<MemberSecurity::Member>> MemberSecurity::accept(std::unique_ptr<ByteStream> below,
                                                                 TlsFailure* failure) {
  co_return co_await in_time(prove_second(std::move(below), failure));
}

awaitable<Result<MemberSecurity::Member>> MemberSecurity::in_time(
    awaitable<Result<Member>> handshake) {
  auto member = co_await with_deadline(clock_, limit_, std::move(handshake));
  // "Malformed" tells nobody what to check.
  if (!member && member.error() == Errc::bad_message) co_return NetErrc::handshake_failed;
  co_return member;
}

awaitable<Result<MemberSecurity::Member>> MemberSecurity::prove_first(
    std::unique_ptr<ByteStream> below, PeerId expected, TlsFailure* failure) {
  CO_TRY(auto secure, co_await tls_.connect(std::move(below), std::move(expected), failure));
  CO_CHECK(check_protocol(secure, failure));
  const auto ours = prover_.prove(MemberRole::client, secure.exported, self_, secure.peer);
  CO_CHECK(co_await secure.stream->write(ours));
  MemberProof theirs{};
  const auto read = co_await read_exactly(*secure.stream, theirs);
  if (!read && (read.error() == Errc::end_of_stream || read.error() == Errc::truncated)) {
    co_return refuse(failure, "it ended the connection at our proof of the mesh key");
  }
  if (!read) co_return read.error();
  if (!same(theirs, prover_.prove(MemberRole::server, secure.exported, self_, secure.peer))) {
    co_return refuse(failure, "its proof of the mesh key is wrong");
  }
  co_return Member{std::move(secure.stream), std::move(secure.peer)};
}

awaitable<Result<MemberSecurity::Member>> MemberSecurity::prove_second(
    std::unique_ptr<ByteStream> below, TlsFailure* failure) {
  CO_TRY(auto secure, co_await tls_.accept(std::move(below), failure));
  CO_CHECK(check_protocol(secure, failure));
  MemberProof theirs{};
  CO_CHECK(co_await read_exactly(*secure.stream, theirs));
  if (!same(theirs, prover_.prove(MemberRole::client, secure.exported, secure.peer, self_))) {
    // FIN and not RST: the other side is to see that this is an answer.
    (void)co_await secure.stream->shutdown_write();
    co_return refuse(failure, "its proof of the mesh key is wrong");
  }
  const auto ours = prover_.prove(MemberRole::server, secure.exported, secure.peer, self_);
  CO_CHECK(co_await secure.stream->write(ours));
  co_return Member{std::move(secure.stream), std::move(secure.peer)};
}

}  // namespace hagring::dht
