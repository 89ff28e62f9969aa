// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "registry/containerd/leases.hpp"
#include "registry/containerd/rpc_error.hpp"
#include "registry/content_store.hpp"
#include "userspace/base/asio.hpp"
#include "userspace/base/bytes.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::containerd {

/// A committed blob of containerd's content store.
struct Blob {
  registry::Digest digest;
  std::uint64_t size = 0;  ///< bytes
};

/// Where a blob is from.
struct BlobSources {
  std::vector<registry::ContentSource> all;
  WallTime created{};  ///< when it was committed, or claimed by the namespace
};

/// A name and what it points to.
struct Image {
  std::string name;
  registry::Descriptor target;
};

/// A change that containerd has made known.
struct Event {
  enum class Kind {
    image_created,
    image_updated,
    image_deleted,
    content_created,  ///< containerd 2.1 and newer
    content_deleted,  ///< on request only: garbage collection is silent
  };
  Kind kind = Kind::image_created;
  std::string subject;     ///< the image's name, or the blob's digest
  std::uint64_t size = 0;  ///< bytes, of a blob that was created
};

/// The blobs of a namespace, a page (about 100) at a time. Read it to its end, or to an error.
class BlobPages {
 public:
  virtual ~BlobPages() = default;
  /// Errors: Errc::end_of_stream after the last page.
  virtual awaitable<RpcResult<std::vector<Blob>>> next() = 0;
};

/// What happens in a namespace from now on; nothing is replayed. After cancel(), read it to its
/// end before it goes.
class EventStream {
 public:
  virtual ~EventStream() = default;
  /// Subscribes; returns when the request is sent. next() does it by itself.
  virtual awaitable<void> start() = 0;
  /// Waits for as long as it takes.
  virtual awaitable<RpcResult<Event>> next() = 0;
  /// Ends the stream: next(), under way or not, then returns an error.
  virtual void cancel() = 0;
};

/// containerd's API, as far as it is needed, over one connection to its Unix socket that is made
/// with the first call. Each call but the event stream has a deadline. Calls run on the caller's
/// executor; cancelling them cancels them at containerd. Safe from any thread; has a
/// thread of its own, which only posts.
class Client {
 public:
  /// `name_space` is containerd's namespace that all calls are about.
  Client(const std::string& socket, std::string name_space);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// containerd's version, such as `1.6.20~ds1`.
  awaitable<RpcResult<std::string>> version();
  /// The folder of the content store, as containerd sees it.
  awaitable<RpcResult<std::string>> content_root();
  /// What a plugin exports under `name`; empty `id`: the first of that type that does. Errors:
  /// Errc::unsupported when none does.
  awaitable<RpcResult<std::string>> plugin_export(std::string type, std::string id,
                                                  std::string name);
  /// All of containerd's namespaces.
  awaitable<RpcResult<std::vector<std::string>>> namespaces();

  /// Images whose target is a digest that can't be served (another algorithm) are left out.
  awaitable<RpcResult<std::vector<Image>>> images();
  awaitable<RpcResult<Image>> image(std::string name);

  awaitable<RpcResult<Blob>> blob(registry::Digest digest);
  /// What a blob's labels say of where it is from.
  awaitable<RpcResult<BlobSources>> sources(registry::Digest digest);
  /// A blob's bytes. Errors: Errc::too_large when there are more than `limit`.
  awaitable<RpcResult<Bytes>> read(registry::Digest digest, std::size_t limit);
  std::unique_ptr<BlobPages> blobs();
  std::unique_ptr<EventStream> events();

  /// The references of ingests (content that is being fetched), such as `layer-sha256:…`.
  awaitable<RpcResult<std::vector<std::string>>> ingests();
  /// Drops an ingest and what it has so far.
  awaitable<RpcResult<void>> abort(std::string ref);

  /// Calls about leases, over the same connection; goes with the client.
  LeasesApi& leases();

 private:
  struct Stubs;
  std::unique_ptr<Stubs> stubs_;
  std::string namespace_;
};

}  // namespace hagring::containerd
