// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "registry/digest.hpp"
#include "userspace/base/asio.hpp"
#include "userspace/base/result.hpp"
#include "userspace/base/unique_fd.hpp"

namespace hagring::registry {

/// What a name or a manifest's entry points to (OCI image-spec, descriptor.md).
struct Descriptor {
  Digest digest;
  std::uint64_t size = 0;  ///< bytes
  std::string media_type;
};

/// A repository that content was fetched from, as the runtime says: not checked for being names.
struct ContentSource {
  std::string registry;    ///< its host in image names, without a port
  std::string repository;  ///< `library/nginx`

  bool operator==(const ContentSource&) const = default;
};

/// A blob that is open for reading; it stays readable when the store drops it meanwhile.
struct OpenBlob {
  UniqueFd file;
  std::uint64_t size = 0;  ///< bytes
};

/// The content that this node has. May be called from any of the program's threads; answers come
/// on the caller's executor.
class ContentStore {
 public:
  virtual ~ContentStore() = default;

  /// Opens a committed blob of the served namespace. Errors: Errc::not_found, or the system's.
  virtual awaitable<Result<OpenBlob>> open(Digest digest) = 0;

  /// What an image name in the runtime's form (`docker.io/library/nginx:1.25`) points to.
  /// Errors: Errc::not_found.
  virtual awaitable<Result<Descriptor>> resolve(std::string name) = 0;

  /// The repositories that `digest`, which is here, was fetched from; none: it was imported or
  /// built here, or the store can't tell. Errors: Errc::not_found when it isn't here, others when
  /// it couldn't be found out.
  virtual awaitable<Result<std::vector<ContentSource>>> sources(Digest digest) = 0;

  /// Asks the runtime to drop what it has fetched so far of a blob that is not committed, because
  /// the bytes were wrong: it would resume on them otherwise. Errors: Errc::unavailable.
  virtual awaitable<Result<void>> abort_ingest(Digest digest) = 0;
};

}  // namespace hagring::registry
