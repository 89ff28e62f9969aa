// SPDX-License-Identifier: Apache-2.0
#include "dht/identity.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <stdexcept>

#include "dht/secret_file.hpp"
#include "userspace/base/wire.hpp"

namespace hagring::dht {
namespace {

constexpr std::size_t kSignatureSize = 64;

}  // namespace

Identity::Identity(PrivateKey key, PublicKey public_key)
    : key_(std::move(key)), public_key_(std::move(public_key)), peer_id_(public_key_.peer_id()) {}

Identity Identity::from_seed(std::span<const std::uint8_t, kSeedSize> seed) {
  PrivateKey key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
  std::array<std::uint8_t, kSeedSize> raw{};
  std::size_t size = raw.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), raw.data(), &size) != 1) {
    throw std::runtime_error("OpenSSL makes no Ed25519 key: " + take_openssl_error());
  }
  return Identity(std::move(key), PublicKey::of_ed25519(raw).value());
}

Identity Identity::generate() {
  Secret<std::array<std::uint8_t, kSeedSize>> seed;
  if (RAND_priv_bytes(seed.bytes.data(), static_cast<int>(seed.bytes.size())) != 1) {
    throw std::runtime_error("no random numbers for a key: " + take_openssl_error());
  }
  return from_seed(seed.bytes);
}

Result<Identity> Identity::from_message(ByteView message) {
  proto::Reader reader(message);
  std::optional<std::uint64_t> type;
  ByteView data;
  while (const auto field = reader.next()) {
    if (field->number == 1 && !field->is_bytes) type = field->value;
    if (field->number == 2 && field->is_bytes) data = field->bytes;
  }
  if (reader.malformed() || !type) return Errc::bad_message;
  if (*type != static_cast<std::uint64_t>(KeyType::ed25519)) return Errc::unsupported;
  // The seed, and behind it the public key, which must be the seed's.
  if (data.size() != 2 * kSeedSize) return Errc::bad_message;
  auto identity = from_seed(data.first<kSeedSize>());
  const ByteView own(identity.public_key().message());
  if (!std::ranges::equal(own.last(kSeedSize), data.last(kSeedSize))) return Errc::bad_message;
  return identity;
}

Bytes Identity::to_message() const {
  Secret<std::array<std::uint8_t, 2 * kSeedSize>> data;
  std::size_t size = kSeedSize;
  EVP_PKEY_get_raw_private_key(key_.get(), data.bytes.data(), &size);
  EVP_PKEY_get_raw_public_key(key_.get(), data.bytes.data() + kSeedSize, &size);
  proto::Writer writer;
  writer.number(1, static_cast<std::uint64_t>(KeyType::ed25519));
  writer.bytes(2, data.bytes);
  return writer.take();
}

Identity Identity::load_or_create(const std::filesystem::path& path) {
  const SecretFile file{
      .what = "the identity",
      .path = path,
      .closed = 077,
      .remedy = "if nobody has read it, chmod 600 it, else remove it and a new one is made"};
  if (const auto text = read_secret(file)) {
    auto identity = from_message(as_bytes(text->bytes));
    if (identity) return std::move(*identity);
    throw StartError("the identity " + path.string() +
                     " is no Ed25519 key in libp2p's form: put the right file back, or remove it "
                     "and a new one is made");
  }
  auto identity = generate();
  const Secret<Bytes> message{identity.to_message()};
  write_secret(file, as_text(message.bytes));
  return identity;
}

Bytes Identity::sign(ByteView message) const {
  Bytes signature(kSignatureSize);
  std::size_t size = signature.size();
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                  EVP_MD_CTX_free);
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) != 1) {
    throw std::runtime_error("OpenSSL doesn't sign with the host key: " + take_openssl_error());
  }
  return signature;
}

}  // namespace hagring::dht
