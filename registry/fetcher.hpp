// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "registry/conduct.hpp"
#include "registry/content_stream.hpp"
#include "registry/privacy.hpp"
#include "registry/recent_providers.hpp"

namespace hagring::registry {

/// A tag that is asked for.
struct TagRequest {
  std::string registry{};
  std::string repository{};
  std::string tag{};
  std::string accept{};  ///< as ContentRequest's
};

struct FetcherOptions {
  Duration search = std::chrono::seconds(1);      ///< for the router to name one more peer
  Duration first_byte = std::chrono::seconds(2);  ///< for a peer's response head
  /// All searching and asking before the first source answers; with the origin's own limit it
  /// stays below containerd's 30 s for a response's head (ResponseHeaderTimeout, 2.3.0 on).
  Duration budget = std::chrono::seconds(6);
  std::size_t max_peers = 16;  ///< asked for one request
  /// How often the origin is asked to go on with one answer, in all and without a byte of it
  /// coming: an origin that serves a little each time must not be asked for ever.
  unsigned max_continuations = 8;
  unsigned max_in_vain = 2;
  /// A source is left for another when, after this much waiting for it …
  Duration slow_after = std::chrono::seconds(5);
  /// … it has sent fewer bytes a second than this.
  std::uint64_t slow_bytes_per_second = 16UL * 1024;
  /// For finding that other source, while the slow one is not read.
  Duration faster = std::chrono::seconds(3);
  RecentProviders::Options recent{};
};

/// Gets content from the peers that the router names; who has just sent the same content is asked
/// before the router is. Requests have the shape that Spegel's nodes
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
        privacy_(privacy),
        recent_(clock, options.recent) {}

  /// Finds a peer that sends the part of the content. `continuation` may be empty; it is never the
  /// first source. Errors: Errc::not_found when no peer has it, Errc::unavailable when one that has
  /// it wants its herd to be joined (ContentRequest::joins).
  awaitable<Result<ContentStream>> open(ContentRequest request, ContentPart part,
                                        Continuation continuation);

  /// A stream whose first source is the origin, which has just begun to answer with the part.
  /// `request` has the size. `before` bytes of the answer precede the part: a server without ranges
  /// sends all.
  ContentStream from_origin(ContentRequest request, ContentPart part, Exchange exchange,
                            std::uint64_t before, Continuation continuation);

  /// A stream whose first source is a shared one; `request` has the size.
  ContentStream from_shared(ContentRequest request, std::shared_ptr<SharedSource> source,
                            Continuation continuation);

  /// As open(), but this peer is asked first.
  awaitable<Result<ContentStream>> open_at(Peer peer, ContentRequest request,
                                           Continuation continuation);

  /// Sends one request to a peer and reads the answer's head. Errors: UpstreamClient::send's.
  awaitable<Result<Exchange>> ask(Peer peer, http::Request request);

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
  /// The peer that sent `digest` last, if it may be asked.
  std::optional<Peer> recent(const Digest& digest);
  /// The next peer that may be asked.
  awaitable<Result<Peer>> next(PeerSearch& search);
  awaitable<Result<std::uint64_t>> size_at(Peer peer, const ContentRequest& request);
  awaitable<Result<Digest>> digest_at(Peer peer, http::Request request);
  awaitable<Result<std::optional<Digest>>> next_opinion(PeerSearch& search,
                                                        const TagRequest& request);
  /// Keeps what came with content about whose it is, before the content is passed on.
  void note_privacy(const Digest& digest, const http::Response& response);

  Clock& clock_;
  UpstreamClient& client_;
  ContentRouter& router_;
  Conduct& conduct_;
  const Options options_;
  Privacy* privacy_;
  RecentProviders recent_;
};

}  // namespace hagring::registry
