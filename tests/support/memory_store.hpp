// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "registry/content_store.hpp"

namespace hagring::test {

/// A ContentStore whose blobs are anonymous files in memory, so that sendfile(2) works on them.
/// Safe from any thread.
class MemoryStore final : public registry::ContentStore {
 public:
  /// Adds a blob under its own SHA-256 digest.
  registry::Digest add(std::string_view content);
  /// Adds a file under any digest: a store whose bytes are wrong. `size` is what the store claims.
  void add_as(registry::Digest digest, std::string_view content, std::uint64_t size);
  /// Makes `name` (`docker.io/library/nginx:1.25`) point to `digest`.
  void tag(std::string name, registry::Digest digest, std::string media_type);
  /// Makes sources() say that `digest` was fetched from there.
  void came_from(const registry::Digest& digest, std::string registry, std::string repository);
  /// Makes sources() fail with `error`.
  void lose_sources(error_code error);
  void remove(const registry::Digest& digest);
  /// Shortens the file of a blob that may be open already; the claimed size stays.
  void truncate(const registry::Digest& digest, std::uint64_t size);

  /// Blobs for which abort_ingest was asked, in order.
  std::vector<registry::Digest> aborted() const;
  /// How many times open() was asked for `digest`.
  std::size_t opened(const registry::Digest& digest) const;

  awaitable<Result<registry::OpenBlob>> open(registry::Digest digest) override;
  awaitable<Result<registry::Descriptor>> resolve(std::string name) override;
  awaitable<Result<void>> abort_ingest(registry::Digest digest) override;
  awaitable<Result<std::vector<registry::ContentSource>>> sources(registry::Digest digest) override;

 private:
  struct File {
    UniqueFd fd;
    std::uint64_t size = 0;
  };
  mutable std::mutex mutex_;
  std::map<registry::Digest, File> files_;
  std::map<std::string, registry::Descriptor> names_;
  std::map<registry::Digest, std::size_t> opened_;
  std::vector<registry::Digest> aborted_;
  std::map<registry::Digest, std::vector<registry::ContentSource>> sources_;
  error_code sources_error_;
};

}  // namespace hagring::test
