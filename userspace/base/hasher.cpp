// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/hasher.hpp"

#include <openssl/evp.h>

#include <new>
#include <stdexcept>

namespace hagring {

Hasher::Hasher(HashAlgorithm algorithm) : context_(EVP_MD_CTX_new()) {
  if (!context_) throw std::bad_alloc();
  const EVP_MD* function = algorithm == HashAlgorithm::sha256 ? EVP_sha256() : EVP_sha512();
  if (EVP_DigestInit_ex(context_.get(), function, nullptr) != 1) {
    throw std::runtime_error("OpenSSL can't start a hash: is its default provider loaded?");
  }
}

Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::Free::operator()(evp_md_ctx_st* context) const noexcept { EVP_MD_CTX_free(context); }

void Hasher::update(ByteView bytes) {
  if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) {
    throw std::runtime_error("OpenSSL failed to hash");
  }
}

Bytes Hasher::digest() const {
  const std::unique_ptr<EVP_MD_CTX, Free> copy(EVP_MD_CTX_new());
  Bytes digest(static_cast<std::size_t>(EVP_MD_CTX_get_size(context_.get())));
  if (!copy || EVP_MD_CTX_copy_ex(copy.get(), context_.get()) != 1 ||
      EVP_DigestFinal_ex(copy.get(), digest.data(), nullptr) != 1) {
    throw std::runtime_error("OpenSSL failed to finish a hash");
  }
  return digest;
}

Bytes sha256(ByteView bytes) {
  Hasher hasher(HashAlgorithm::sha256);
  hasher.update(bytes);
  return hasher.digest();
}

}  // namespace hagring
