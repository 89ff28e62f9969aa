// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "registry/conduct.hpp"
#include "registry/content_router.hpp"
#include "registry/privacy.hpp"
#include "registry/upstream.hpp"

namespace hagring::registry {

/// Content that is asked for by its digest.
struct ContentRequest {
  bool manifest = false;   ///< else a blob
  std::string registry;    ///< `docker.io`
  std::string repository;  ///< `library/nginx`
  Digest digest;
  std::string accept;                   ///< the client's Accept field; empty: none
  std::optional<std::uint64_t> size{};  ///< bytes of the whole, where a manifest has told
};

/// A tag that is asked for.
struct TagRequest {
  std::string registry{};
  std::string repository{};
  std::string tag{};
  std::string accept{};  ///< as ContentRequest's
};

/// Where content goes on from `offset` when no peer is left: the origin.
using Continuation = std::function<awaitable<Result<Exchange>>(std::uint64_t offset)>;

struct FetcherOptions {
  Duration search = std::chrono::seconds(1);      ///< for the router to name one more peer
  Duration first_byte = std::chrono::seconds(2);  ///< for a peer's response head
  /// All searching and asking before the first source answers; with the origin's own limit it
  /// stays below containerd's 30 s for a response's head (ResponseHeaderTimeout, 2.3.0 on).
  Duration budget = std::chrono::seconds(6);
  std::size_t max_peers = 16;  ///< asked for one request
  /// A source is left for another when, after this much waiting for it …
  Duration slow_after = std::chrono::seconds(5);
  /// … it has sent fewer bytes a second than this.
  std::uint64_t slow_bytes_per_second = 16UL * 1024;
};

/// The bytes of one piece of content from an offset on, in order, from one source after another: a
/// peer that dies, stalls or crawls is left for the next peer and at last for the continuation,
/// which go on at the byte that was reached. Nothing here is verified. Used from one thread.
class ContentStream {
 public:
  /// Of the whole content, as the first source states it; another source must agree.
  std::uint64_t size() const { return size_; }
  std::uint64_t offset() const { return offset_; }
  /// Peer::key() of those that have sent bytes, each once, in order.
  const std::vector<std::string>& contributors() const { return contributors_; }

  /// Some of the next bytes; 0 at the end. Errors: Errc::unavailable when no source is left,
  /// Errc::cancelled.
  awaitable<Result<std::size_t>> read(MutableBytes into);

 private:
  friend class Fetcher;
  struct Source {
    std::string peer;  ///< empty: the continuation
    Exchange exchange;
    std::uint64_t bytes = 0;
    Duration waited{0};
  };
  ContentStream(class Fetcher& fetcher, ContentRequest request, std::uint64_t offset,
                Continuation continuation, std::unique_ptr<PeerSearch> search);

  awaitable<Result<void>> begin();
  awaitable<Result<void>> next_source();
  awaitable<Result<Source>> next_peer();
  awaitable<Result<Source>> continued();
  awaitable<bool> leave_slow_source();
  Result<Source> accepted(std::string peer, Exchange exchange);

  Fetcher* fetcher_;
  ContentRequest request_;
  std::uint64_t offset_;
  std::uint64_t size_ = 0;
  bool size_known_ = false;
  Continuation continuation_;
  std::unique_ptr<PeerSearch> search_;
  std::size_t asked_ = 0;
  std::optional<Source> source_;
  std::vector<std::string> contributors_;
};

/// Gets content from the peers that the router names. Requests have the shape that Spegel's nodes
/// send each other; of the client's fields peers see Accept and Range only. Used from one thread;
/// streams must be gone before it.
class Fetcher {
 public:
  using Options = FetcherOptions;

  /// `privacy` learns which content peers say is private; null: nobody does.
  Fetcher(Clock& clock, UpstreamClient& client, ContentRouter& router, Conduct& conduct,
          Options options = {}, Privacy* privacy = nullptr)
      : clock_(clock),
        client_(client),
        router_(router),
        conduct_(conduct),
        options_(options),
        privacy_(privacy) {}

  /// Finds a peer that sends the content from `offset` on. `continuation` may be empty; it is never
  /// the first source. Errors: Errc::not_found when no peer has it.
  awaitable<Result<ContentStream>> open(ContentRequest request, std::uint64_t offset,
                                        Continuation continuation);

  /// Asks peers for the size of a blob. Errors: Errc::not_found.
  awaitable<Result<std::uint64_t>> size_of(ContentRequest request);

  /// Begins to look for peers that have `key`.
  std::unique_ptr<PeerSearch> find(std::string key) { return router_.find(std::move(key)); }

  /// Asks the peers of `search` what a tag points to. A tag isn't self-certifying: the router must
  /// name members of the mesh only, and what two of them say goes before what one does, if that can
  /// be had at once. Errors: Errc::not_found. (tag_candidates.cpp)
  awaitable<Result<Digest>> resolve(PeerSearch& search, TagRequest request);

 private:
  friend class ContentStream;
  awaitable<Result<Exchange>> ask(Peer peer, http::Request request);
  /// The next peer that may be asked.
  awaitable<Result<Peer>> next(PeerSearch& search);
  awaitable<Result<std::uint64_t>> size_at(Peer peer, const ContentRequest& request);
  awaitable<Result<Digest>> digest_at(Peer peer, http::Request request);
  awaitable<Result<std::optional<Digest>>> next_opinion(PeerSearch& search,
                                                        const TagRequest& request);
  /// Keeps the mark that came with content, before the content is passed on.
  void note_privacy(const Digest& digest, const http::Response& response);

  Clock& clock_;
  UpstreamClient& client_;
  ContentRouter& router_;
  Conduct& conduct_;
  const Options options_;
  Privacy* privacy_;
};

}  // namespace hagring::registry
