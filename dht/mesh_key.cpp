// SPDX-License-Identifier: Apache-2.0
#include "dht/mesh_key.hpp"

#include <openssl/rand.h>

#include "dht/secret_file.hpp"
#include "userspace/base/result.hpp"
#include "userspace/base/tls_context.hpp"

namespace hagring::dht {
namespace {

/// Where a chain of links ends; `path` itself where it ends nowhere, so that reading it tells why.
std::filesystem::path followed(const std::filesystem::path& path) {
  std::error_code broken;
  auto end = std::filesystem::canonical(path, broken);
  return broken ? path : end;
}

MeshKey random_key() {
  MeshKey key{};
  if (RAND_priv_bytes(key.data(), static_cast<int>(key.size())) != 1) {
    throw StartError("no random numbers for a mesh key: " + take_openssl_error());
  }
  return key;
}

SecretFile file_at(const std::filesystem::path& path) {
  return {.what = "the mesh key",
          .path = followed(path),
          .closed = 007,
          .remedy =
              "whoever has read it can join the mesh. chmod 600 it (in Kubernetes: defaultMode "
              "0400 of the Secret's volume), and make a new one if that may have happened"};
}

/// nullopt: there is no file.
std::optional<MeshKey> read_key(const std::filesystem::path& path) {
  const auto text = read_secret(file_at(path));
  if (!text) return std::nullopt;
  if (const auto key = parse_network_key(text->bytes)) return *key;
  throw StartError("the mesh key " + path.string() +
                   " is no swarm.key file and not 64 hexadecimal digits: copy another member's");
}

}  // namespace

MeshKey load_mesh_key(const std::filesystem::path& path) {
  if (const auto key = read_key(path)) return *key;
  throw StartError("the mesh key " + path.string() +
                   " isn't there: copy another member's, or make the first with `openssl rand "
                   "-hex 32`, mode 0600");
}

MeshKey load_or_create_mesh_key(const std::filesystem::path& path) {
  if (const auto key = read_key(path)) return *key;
  const auto file = file_at(path);
  const auto key = random_key();
  const Secret<std::string> text{write_network_key(key)};
  write_secret(file, text.bytes);
  return key;
}

}  // namespace hagring::dht
