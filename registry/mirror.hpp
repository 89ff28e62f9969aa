// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>

#include "registry/conduct.hpp"
#include "registry/content_store.hpp"
#include "registry/fetcher.hpp"
#include "registry/grants.hpp"
#include "registry/known_sizes.hpp"
#include "registry/origin.hpp"
#include "registry/policy.hpp"
#include "registry/privacy.hpp"
#include "registry/pull_record.hpp"
#include "registry/pulls_under_way.hpp"

namespace hagring::registry {

/// The address that the trust probe pulls from (TEST-NET-1, RFC 5737: nobody's).
inline constexpr std::string_view kProbeHost = "192.0.2.1";
inline constexpr std::string_view kProbeRepository = "hagring/probe";

/// A client's connection, as it was before it was redirected.
struct Interception {
  /// The server name that the client sent in TLS, or, where it sent none or there is no TLS, the
  /// original address as text.
  std::string host;
  asio::ip::tcp::endpoint original;  ///< where the client had wanted to connect
  /// Where that is an egress proxy, which was asked for `host`: the port it was asked for; else 0.
  std::uint16_t proxied_port = 0;
  bool tls = true;
  std::uint32_t client = 0;  ///< its process; 0: not known
  Bytes read_ahead{};        ///< bytes that have been read from the stream already

  bool proxied() const { return proxied_port != 0; }
  /// The server's.
  std::uint16_t port() const { return proxied() ? proxied_port : original.port(); }
};

struct MirrorOptions {
  /// Between requests, and for a request's head. Longer than containerd's own idle limit (30 s,
  /// core/remotes/docker/config/hosts.go), so that it is the client who closes.
  Duration idle = std::chrono::seconds(75);
  /// Without the client taking a byte: containerd from 2.1 on holds bodies open while it waits for
  /// one of its few download slots, at most for its image_pull_progress_timeout (5 min).
  Duration client_stall = std::chrono::minutes(6);
  /// The origin's time to be reached and to answer what a tag points to, before peers are asked.
  Duration tag_patience = std::chrono::seconds(5);
  /// Of that time, how much a slow origin is given when peers know the tag.
  Duration origin_patience = std::chrono::seconds(1);
  /// How long an origin's yes to a client's credentials is good for. Tokens of Docker Hub's live as
  /// long (distribution/docs/content/spec/auth/token.md: a minute at least).
  Duration grant = std::chrono::minutes(5);
  /// The same while the origin can't be asked; zero: no longer than that.
  Duration offline_credentials{0};
  /// The origin's time to answer what is passed through.
  Duration passthrough_patience = std::chrono::minutes(2);
  /// Blobs from peers up to this size are verified before the first byte is sent.
  std::size_t verify_whole = 4 << 20;
  /// All content held for that at once, by one thread; above it tails are held back instead.
  std::size_t verify_budget = 64 << 20;
  /// Of larger blobs this much is held back until the digest is right.
  std::size_t held_tail = 256 << 10;
  /// How often content that came wrong is asked of other peers.
  unsigned attempts = 4;
  /// For the runtime to drop what it has fetched of a blob whose bytes were wrong.
  Duration abort_ingest = std::chrono::seconds(3);
};

/// What the rest of the agent wants to know. Called on the mirror's thread; must not throw.
struct MirrorHooks {
  /// The trust probe came through, with this tag: the client, a process, trusts our certificates.
  std::function<void(std::string nonce, std::uint32_t client)> probed{};
  /// The origin's chain has been refused although it was verified once: ask OriginCheck anew.
  std::function<void(std::string host, std::uint16_t port)> not_verified{};
  /// A client was sent the whole of this content, from elsewhere than this node's store.
  std::function<void(std::string registry, std::string repository, Digest digest,
                     std::uint64_t size)>
      seen{};
  /// Runs a task on the mirror's thread, besides all requests; it ends before what it works with.
  std::function<void(std::function<awaitable<void>()> task)> background{};
  /// A request has been answered, or couldn't be.
  std::function<void(const Pull& pull)> answered{};
  /// A client is about to have the whole of a manifest that it reads by digest, which is verified:
  /// its last byte waits until this has returned, which must be soon. `manifest` stays until then.
  std::function<awaitable<void>(std::string registry, std::string repository, Digest digest,
                                std::string_view manifest)>
      manifest_served{};
};

}  // namespace hagring::registry
namespace hagring::herd {
class Herds;
}  // namespace hagring::herd
namespace hagring::registry {

/// What a mirror works with; all of it outlives the mirror. `policy`, `store`, `conduct` and
/// `record` are shared by all threads, the rest is the thread's own.
struct MirrorParts {
  Clock& clock;
  const Policy& policy;
  ContentStore& store;
  Conduct& conduct;
  PullRecord& record;
  Fetcher& fetcher;
  Origin& origin;
  MirrorOptions options{};
  MirrorHooks hooks{};
  /// Sizes that peers must not contradict, shared by all threads; null: peers are believed.
  KnownSizes* sizes = nullptr;
  /// What is private and who may have it, shared by all threads; null, both of them: everything is
  /// everybody's.
  Privacy* privacy = nullptr;
  Grants* grants = nullptr;
  /// Shows the reads that are being answered, shared by all threads; null: nobody looks.
  PullsUnderWay* under_way = nullptr;
  /// Shares what has to be fetched with other nodes, shared by all threads; null: nobody does.
  herd::Herds* herds = nullptr;
  /// Bytes held for verification at the moment.
  std::size_t held = 0;
  /// Connections that have been served and wait for another request.
  std::unordered_set<ByteStream*> idle{};
  /// Connections end as soon as they wait for a request.
  bool draining = false;
};

/// Answers the requests of intercepted connections: reads of manifests and blobs from this node's
/// store, from peers and from the origin, all else from the origin unchanged. Used from one thread.
class Mirror {
 public:
  explicit Mirror(MirrorParts parts) : parts_(std::move(parts)) {}

  /// Serves one connection, request by request, until either side ends it. `stream` is what the
  /// client speaks HTTP on (TLS has been terminated). It is closed with FIN, never with RST.
  /// Requests never go to another server than the one that the client had connected to.
  awaitable<void> serve(std::unique_ptr<ByteStream> stream, Interception about);

  /// Ends connections that wait for another request at once, and others when theirs is answered:
  /// clients keep connections for long after a pull.
  void drain();

 private:
  MirrorParts parts_;
};

}  // namespace hagring::registry
