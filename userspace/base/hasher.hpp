// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "userspace/base/bytes.hpp"

struct evp_md_ctx_st;

namespace hagring {

/// Hash functions that OCI digests use (image-spec, descriptor.md, "Registered algorithms").
enum class HashAlgorithm { sha256, sha512 };

/// Hashes bytes as they come, with OpenSSL's EVP.
class Hasher {
 public:
  explicit Hasher(HashAlgorithm algorithm);
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();

  void update(ByteView bytes);

  /// The digest of all bytes so far; more may follow.
  Bytes digest() const;

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const noexcept;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

/// SHA-256 of `bytes` in one go.
Bytes sha256(ByteView bytes);

}  // namespace hagring
