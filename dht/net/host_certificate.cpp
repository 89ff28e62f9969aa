// SPDX-License-Identifier: Apache-2.0
#include "dht/net/host_certificate.hpp"

#include <openssl/asn1t.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include <array>
#include <stdexcept>

namespace hagring::dht {
namespace {

constexpr const char* kExtensionOid = "1.3.6.1.4.1.53594.1.1";
constexpr std::string_view kSignaturePrefix = "libp2p-tls-handshake:";
constexpr int kValidDays = 36500;
constexpr std::size_t kMaxExtension = 8192;
/// Of a certificate's own key; a host's may have more.
constexpr int kMaxRsaBits = 4096;

struct Deleter {
  void operator()(ASN1_OBJECT* object) const noexcept { ASN1_OBJECT_free(object); }
  void operator()(ASN1_OCTET_STRING* string) const noexcept { ASN1_OCTET_STRING_free(string); }
  void operator()(X509_EXTENSION* extension) const noexcept { X509_EXTENSION_free(extension); }
  void operator()(ASN1_SEQUENCE_ANY* sequence) const noexcept {
    sk_ASN1_TYPE_pop_free(sequence, ASN1_TYPE_free);
  }
};
template <typename T>
using Owned = std::unique_ptr<T, Deleter>;

void require(bool condition) {
  if (!condition) {
    throw std::runtime_error("OpenSSL makes no host certificate: " + take_openssl_error());
  }
}

ByteView view(const ASN1_STRING* string) {
  return {ASN1_STRING_get0_data(string), static_cast<std::size_t>(ASN1_STRING_length(string))};
}

Owned<ASN1_OBJECT> extension_oid() {
  return Owned<ASN1_OBJECT>(OBJ_txt2obj(kExtensionOid, /*no_name=*/1));
}

/// What the host key signs: the certificate's key in its DER form behind a prefix.
Bytes signed_text(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  Bytes text(kSignaturePrefix.begin(), kSignaturePrefix.end());
  if (size > 0) text.insert(text.end(), der, der + size);
  OPENSSL_free(der);
  return text;
}

void append_octets(Bytes& into, ByteView octets) {
  // Ed25519's message and signature are shorter than 128 bytes: one byte of length each.
  into.push_back(V_ASN1_OCTET_STRING);
  into.push_back(static_cast<std::uint8_t>(octets.size()));
  into.insert(into.end(), octets.begin(), octets.end());
}

/// SignedKey ::= SEQUENCE { publicKey OCTET STRING, signature OCTET STRING }
Bytes signed_key(const Identity& identity, X509* certificate) {
  Bytes body;
  append_octets(body, identity.public_key().message());
  append_octets(body, identity.sign(signed_text(certificate)));
  Bytes sequence{V_ASN1_SEQUENCE | V_ASN1_CONSTRUCTED, static_cast<std::uint8_t>(body.size())};
  sequence.insert(sequence.end(), body.begin(), body.end());
  return sequence;
}

void set_serial(X509* certificate) {
  std::array<unsigned char, 8> random{};
  require(RAND_bytes(random.data(), random.size()) == 1);
  std::uint64_t serial = 1;  // positive
  for (const auto byte : random) serial = (serial << 8 | byte) & INT64_MAX;
  require(ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial | 1) == 1);
}

void set_dates(X509* certificate, WallTime now) {
  const auto begin = std::chrono::system_clock::to_time_t(now - std::chrono::hours(1));
  require(ASN1_TIME_adj(X509_getm_notBefore(certificate), begin, 0, 0) != nullptr);
  require(ASN1_TIME_adj(X509_getm_notAfter(certificate), begin, kValidDays, 0) != nullptr);
}

void set_name(X509* certificate) {
  auto* name = X509_get_subject_name(certificate);
  const auto* text = reinterpret_cast<const unsigned char*>("libp2p.io");
  require(X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, text, -1, -1, 0) == 1);
  require(X509_set_issuer_name(certificate, name) == 1);
}

/// Adds the one extension: js-libp2p reads the first only, and drops certificates with others.
void add_extension(X509* certificate, ByteView value) {
  const Owned<ASN1_OCTET_STRING> octets(ASN1_OCTET_STRING_new());
  require(octets &&
          ASN1_OCTET_STRING_set(octets.get(), value.data(), static_cast<int>(value.size())) == 1);
  const auto oid = extension_oid();
  const Owned<X509_EXTENSION> extension(
      X509_EXTENSION_create_by_OBJ(nullptr, oid.get(), /*crit=*/0, octets.get()));
  require(extension && X509_add_ext(certificate, extension.get(), -1) == 1);
}

bool is_in_time(const X509* certificate, WallTime now) {
  const auto time = std::chrono::system_clock::to_time_t(now);
  const int begun = ASN1_TIME_cmp_time_t(X509_get0_notBefore(certificate), time);
  const int ends = ASN1_TIME_cmp_time_t(X509_get0_notAfter(certificate), time);
  return (begun == 0 || begun == -1) && (ends == 0 || ends == 1);
}

/// The libp2p extension's value, or why it can't be taken.
std::string find_extension(const X509* certificate, ByteView& value) {
  const auto oid = extension_oid();
  int found = 0;
  for (int i = 0; i < X509_get_ext_count(certificate); ++i) {
    auto* extension = X509_get_ext(certificate, i);
    if (OBJ_cmp(X509_EXTENSION_get_object(extension), oid.get()) == 0) {
      ++found;
      value = view(X509_EXTENSION_get_data(extension));
    } else if (X509_EXTENSION_get_critical(extension) != 0) {
      return "it has a critical extension that isn't libp2p's";
    }
  }
  if (found == 0) return "it has no libp2p extension";
  if (found > 1) return "it has more than one libp2p extension";
  return value.size() > kMaxExtension ? "its libp2p extension is too large" : "";
}

/// Takes SignedKey apart; what it holds lies in `sequence`.
Owned<ASN1_SEQUENCE_ANY> parse_signed_key(ByteView value) {
  const auto* begin = value.data();
  Owned<ASN1_SEQUENCE_ANY> sequence(
      d2i_ASN1_SEQUENCE_ANY(nullptr, &begin, static_cast<long>(value.size())));
  if (!sequence || begin != value.data() + value.size() || sk_ASN1_TYPE_num(sequence.get()) != 2) {
    return nullptr;
  }
  for (int i = 0; i < 2; ++i) {
    if (sk_ASN1_TYPE_value(sequence.get(), i)->type != V_ASN1_OCTET_STRING) return nullptr;
  }
  return sequence;
}

/// Threat: a key that costs dearly to verify with, from somebody who has proved nothing yet. libp2p
/// asks for no certain kind; its implementations make P-256 keys.
bool is_fit(const EVP_PKEY* key) {
  if (!key) return false;
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 || is_known_curve(key) ||
         is_moderate_rsa(key, kMaxRsaBits);
}

CertificateVerdict judge(X509* certificate, WallTime now) {
  if (!is_in_time(certificate, now)) {
    return {std::nullopt, "it isn't valid now; compare the clocks of the two hosts"};
  }
  ByteView value;
  if (auto reason = find_extension(certificate, value); !reason.empty()) {
    return {std::nullopt, std::move(reason)};
  }
  if (!is_fit(X509_get0_pubkey(certificate))) {
    return {std::nullopt,
            "its own key is of a kind or size that isn't taken: P-256, P-384, P-521, Ed25519, RSA "
            "of 2048 to 4096 bits are"};
  }
  if (X509_verify(certificate, X509_get0_pubkey(certificate)) != 1) {
    return {std::nullopt, "it isn't signed by its own key"};
  }
  const auto sequence = parse_signed_key(value);
  if (!sequence) return {std::nullopt, "its libp2p extension is malformed"};
  auto key = PublicKey::parse(view(sk_ASN1_TYPE_value(sequence.get(), 0)->value.octet_string));
  if (!key) return {std::nullopt, "its host key can't be used: " + key.error().message()};
  const auto signature = view(sk_ASN1_TYPE_value(sequence.get(), 1)->value.octet_string);
  if (!key->verify(signed_text(certificate), signature)) {
    return {std::nullopt, "its host key's signature is wrong"};
  }
  return {std::move(*key), ""};
}

}  // namespace

HostCertificate make_host_certificate(const Identity& identity, WallTime now) {
  HostCertificate made{Certificate(X509_new()), PrivateKey(EVP_EC_gen("P-256"))};
  auto* certificate = made.certificate.get();
  require(certificate && made.key);
  require(X509_set_version(certificate, X509_VERSION_3) == 1);
  set_serial(certificate);
  set_dates(certificate, now);
  set_name(certificate);
  require(X509_set_pubkey(certificate, made.key.get()) == 1);
  add_extension(certificate, signed_key(identity, certificate));
  require(X509_sign(certificate, made.key.get(), EVP_sha256()) > 0);
  return made;
}

CertificateVerdict verify_host_certificate(X509* certificate, WallTime now) {
  auto verdict = judge(certificate, now);
  ERR_clear_error();
  return verdict;
}

}  // namespace hagring::dht
