// SPDX-License-Identifier: Apache-2.0
#include "dht/public_key.hpp"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/x509.h>

#include <string>

#include "userspace/base/wire.hpp"

namespace hagring::dht {
namespace {

constexpr std::size_t kMaxMessage = 4096;
constexpr std::size_t kEd25519Size = 32;
constexpr std::size_t kCompressedPoint = 33;
// Bounds of go-libp2p (core/crypto/rsa_common.go): below is weak, above costs a verifier dearly.
constexpr int kMinRsaBits = 2048;
constexpr int kMaxRsaBits = 8192;
/// What OpenSSL takes of large keys (rsa.h, OPENSSL_RSA_MAX_PUBEXP_BITS).
constexpr int kMaxExponentBits = 64;

struct ContextDeleter {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
  void operator()(EVP_PKEY_CTX* context) const noexcept { EVP_PKEY_CTX_free(context); }
};

PrivateKey read_secp256k1(ByteView point) {
  std::unique_ptr<EVP_PKEY_CTX, ContextDeleter> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  char group[] = "secp256k1";
  Bytes copy(point.begin(), point.end());
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy.data(), copy.size()),
      OSSL_PARAM_construct_end()};
  EVP_PKEY* key = nullptr;
  if (context && EVP_PKEY_fromdata_init(context.get()) == 1) {
    EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters);
  }
  return PrivateKey(key);
}

PrivateKey read_subject_public_key(ByteView der) {
  const auto* begin = der.data();
  PrivateKey key(d2i_PUBKEY(nullptr, &begin, static_cast<long>(der.size())));
  if (begin != der.data() + der.size()) key.reset();
  return key;
}

/// What stands between the type and a key that may be used.
Result<PrivateKey> read_key(KeyType type, ByteView data) {
  PrivateKey key;
  switch (type) {
    case KeyType::ed25519:
      if (data.size() != kEd25519Size) return Errc::bad_message;
      key.reset(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, data.data(), data.size()));
      break;
    case KeyType::secp256k1:
      if (data.size() != kCompressedPoint) return Errc::bad_message;
      key = read_secp256k1(data);
      break;
    case KeyType::ecdsa:
      key = read_subject_public_key(data);
      if (key && !is_known_curve(key.get())) return Errc::unsupported;
      break;
    case KeyType::rsa:
      key = read_subject_public_key(data);
      if (key && !is_moderate_rsa(key.get(), kMaxRsaBits)) return Errc::unsupported;
      break;
  }
  ERR_clear_error();
  if (!key) return Errc::bad_message;
  return key;
}

}  // namespace

bool is_known_curve(const EVP_PKEY* key) {
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return false;
  char name[32] = {};
  std::size_t size = 0;
  if (EVP_PKEY_get_group_name(key, name, sizeof name, &size) != 1) return false;
  const std::string_view group(name, size);
  return group == "prime256v1" || group == "secp384r1" || group == "secp521r1";
}

bool is_moderate_rsa(const EVP_PKEY* key, int max_bits) {
  const int bits = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ? EVP_PKEY_get_bits(key) : 0;
  if (bits < kMinRsaBits || bits > max_bits) return false;
  BIGNUM* exponent = nullptr;
  if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) != 1) return false;
  const bool is_small = BN_num_bits(exponent) <= kMaxExponentBits;
  BN_free(exponent);
  return is_small;
}

PublicKey::PublicKey(KeyType type, ByteView data, PrivateKey key)
    : type_(type), key_(key.release(), SslDeleter()) {
  // Written anew: one key must have one ID, however its sender has ordered the fields.
  proto::Writer writer;
  writer.number(1, static_cast<std::uint64_t>(type));
  writer.bytes(2, data);
  message_ = writer.take();
}

Result<PublicKey> PublicKey::parse(ByteView message) {
  if (message.size() > kMaxMessage) return Errc::too_large;
  proto::Reader reader(message);
  std::optional<std::uint64_t> type;
  std::optional<ByteView> data;
  while (const auto field = reader.next()) {
    if (field->number == 1 && !field->is_bytes) type = field->value;
    if (field->number == 2 && field->is_bytes) data = field->bytes;
  }
  if (reader.malformed() || !type || !data) return Errc::bad_message;
  if (*type > static_cast<std::uint64_t>(KeyType::ecdsa)) return Errc::unsupported;
  const auto known = static_cast<KeyType>(*type);
  TRY(auto key, read_key(known, *data));
  return PublicKey(known, *data, std::move(key));
}

Result<PublicKey> PublicKey::of_ed25519(ByteView raw) {
  TRY(auto key, read_key(KeyType::ed25519, raw));
  return PublicKey(KeyType::ed25519, raw, std::move(key));
}

bool PublicKey::verify(ByteView message, ByteView signature) const {
  std::unique_ptr<EVP_MD_CTX, ContextDeleter> context(EVP_MD_CTX_new());
  const auto* digest = type_ == KeyType::ed25519 ? nullptr : EVP_sha256();
  const bool valid =
      context && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key_.get()) == 1 &&
      EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                       message.size()) == 1;
  ERR_clear_error();
  return valid;
}

}  // namespace hagring::dht
