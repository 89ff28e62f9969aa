// SPDX-License-Identifier: Apache-2.0
// A peer's certificate: any DER, or any value of the libp2p extension in an otherwise good
// certificate. The first byte says which, and what else is wrong with it.
#include "dht/net/host_certificate.hpp"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <array>

#include "tests/fuzz/input.hpp"
#include "tests/fuzz/require.hpp"

namespace {

using namespace hagring;
using namespace hagring::dht;
using fuzz::require;

enum Flag : std::uint8_t {
  raw = 1,               // the rest is a certificate's DER, else the extension's value
  twice = 2,             // the extension comes twice
  critical = 4,          // there is a critical extension that isn't libp2p's
  early = 8,             // the certificate isn't valid yet
  signed_by_other = 16,  // it isn't signed by its own key
  large = 32             // 8 KiB of zeros stand behind the value
};

/// Those with which no certificate may be taken.
constexpr std::uint8_t kWrong = twice | critical | early | signed_by_other | large;

const WallTime kNow{std::chrono::hours(24 * 365 * 56)};

/// An Ed25519 key, whose signatures are the same each time.
PrivateKey fixed_key(std::uint8_t seed) {
  std::array<std::uint8_t, 32> bytes{};
  bytes.fill(seed);
  return PrivateKey(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes.data(), bytes.size()));
}

void add_extension(X509* certificate, const char* oid, bool is_critical, ByteView value) {
  auto* object = OBJ_txt2obj(oid, 1);
  auto* octets = ASN1_OCTET_STRING_new();
  ASN1_OCTET_STRING_set(octets, value.data(), static_cast<int>(value.size()));
  auto* extension = X509_EXTENSION_create_by_OBJ(nullptr, object, is_critical ? 1 : 0, octets);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  ASN1_OCTET_STRING_free(octets);
  ASN1_OBJECT_free(object);
}

/// Our own certificate, made for the fixed key and with `value` in its extension.
Certificate make_certificate(std::uint8_t flags, ByteView given) {
  static constexpr const char* kLibp2p = "1.3.6.1.4.1.53594.1.1";
  static const auto ours =
      make_host_certificate(Identity::from_seed(std::array<std::uint8_t, 32>{7}), kNow);
  static const auto key = fixed_key(1);
  static const auto other = fixed_key(2);
  Bytes value(given.begin(), given.end());
  if ((flags & large) != 0) value.resize(value.size() + 8193);
  Certificate certificate(X509_dup(ours.certificate.get()));
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), 1);
  X509_set_pubkey(certificate.get(), key.get());
  X509_EXTENSION_free(X509_delete_ext(certificate.get(), 0));
  add_extension(certificate.get(), kLibp2p, false, value);
  if ((flags & twice) != 0) add_extension(certificate.get(), kLibp2p, false, value);
  if ((flags & critical) != 0) add_extension(certificate.get(), "1.2.3.4", true, value);
  X509_sign(certificate.get(), (flags & signed_by_other) != 0 ? other.get() : key.get(), nullptr);
  // Through its encoding, as it would come from a peer.
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  const unsigned char* begin = der;
  Certificate read(d2i_X509(nullptr, &begin, size));
  OPENSSL_free(der);
  return read;
}

Certificate read_certificate(ByteView der) {
  const auto* begin = der.data();
  return Certificate(d2i_X509(nullptr, &begin, static_cast<long>(der.size())));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input({data, size});
  const auto flags = input.byte();
  const bool is_raw = (flags & raw) != 0;
  const auto certificate =
      is_raw ? read_certificate(input.rest()) : make_certificate(flags, input.rest());
  if (!certificate) return 0;
  const auto when = (flags & early) != 0 ? kNow - std::chrono::hours(2) : kNow;
  const auto verdict = verify_host_certificate(certificate.get(), when);
  require(verdict.key.has_value() == verdict.reason.empty());
  if (!is_raw && (flags & kWrong) != 0) require(!verdict.key);
  if (verdict.key) require(PublicKey::parse(verdict.key->message()).has_value());
  return 0;
}
