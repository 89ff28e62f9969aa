// SPDX-License-Identifier: Apache-2.0
#include "registry/grants.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "userspace/base/bytes.hpp"
#include "userspace/base/result.hpp"

namespace hagring::registry {

Grants::Grants(Clock& clock, Options options)
    : clock_(clock),
      options_(options),
      grants_(options.grants),
      contents_(options.contents),
      challenges_(options.challenges) {
  if (RAND_priv_bytes(secret_.data(), static_cast<int>(secret_.size())) != 1) {
    throw StartError("no random numbers for the key that credentials are hashed under");
  }
}

std::string Grants::key(std::string_view authorization, const std::string& repository) const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  unsigned size = 0;
  const auto bytes = as_bytes(authorization);
  ::HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()), bytes.data(), bytes.size(),
         hash.data(), &size);
  return to_hex(ByteView(hash).first(size)) + " " + repository;
}

void Grants::allow(std::string_view authorization, const std::string& repository) {
  const auto which = key(authorization, repository);
  const std::lock_guard lock(mutex_);
  grants_.touch(which) = clock_.now();
}

void Grants::deny(std::string_view authorization, const std::string& repository) {
  const auto which = key(authorization, repository);
  const std::lock_guard lock(mutex_);
  grants_.erase(which);
}

bool Grants::allowed(std::string_view authorization, const std::string& repository,
                     Duration window) const {
  const auto which = key(authorization, repository);
  const std::lock_guard lock(mutex_);
  const auto* when = grants_.find(which);
  return when != nullptr && clock_.now() - *when < window;
}

void Grants::confirm(const Digest& digest, const std::string& repository) {
  const std::lock_guard lock(mutex_);
  contents_.touch(digest.to_string() + " " + repository) = true;
}

bool Grants::confirmed(const Digest& digest, const std::string& repository) const {
  const std::lock_guard lock(mutex_);
  return contents_.find(digest.to_string() + " " + repository) != nullptr;
}

void Grants::challenged(const std::string& repository, std::string_view challenge) {
  if (challenge.empty() || challenge.size() > options_.challenge_bytes) return;
  const std::lock_guard lock(mutex_);
  challenges_.touch(repository) = challenge;
}

std::optional<std::string> Grants::challenge(const std::string& repository) const {
  const std::lock_guard lock(mutex_);
  const auto* known = challenges_.find(repository);
  return known == nullptr ? std::nullopt : std::optional(*known);
}

}  // namespace hagring::registry
