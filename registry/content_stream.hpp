// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "registry/content_router.hpp"
#include "registry/digest.hpp"
#include "registry/range.hpp"
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
  /// The zone whose herd can be joined instead (registry/herd): a peer that has one may say so and
  /// send nothing.
  std::optional<std::string> joins{};
};

/// A part of content, by offsets.
struct ContentPart {
  std::uint64_t first = 0;
  std::optional<std::uint64_t> end{};  ///< behind the last byte; nullopt: up to the content's end
};

/// Asks the origin for a part of the content; redirects and all, as if for the first time. With
/// `others`, which may have it as well, it isn't asked when it is known to be down: was_spared().
using Continuation = std::function<awaitable<Result<Exchange>>(ByteRange range, bool others)>;

/// A source that several share while it fills: see registry/herd. Used from any thread.
class SharedSource {
 public:
  virtual ~SharedSource() = default;

  /// Waits for bytes at `offset`, and reads some. Errors: Errc::timed_out, Errc::unavailable (no
  /// more come), Errc::cancelled, or the system's.
  virtual awaitable<Result<std::size_t>> read(std::uint64_t offset, MutableBytes into) = 0;
  /// Peer::key() of those that answer for bytes that have come, as far as that is known by now.
  virtual std::vector<std::string> contributors() const = 0;
  /// Whether this node itself has had some of it from the origin.
  virtual bool origin_contributed() const = 0;
};

/// The bytes of one piece of content, in order, from one source after another: one that dies,
/// stalls or crawls is left for the next, which goes on at the byte that was reached. A stream that
/// began at a peer turns to other peers and then to the origin, one that began at the origin the
/// other way round. Once in its life a second peer is asked while the first is silent for longer
/// than its fellows usually are, and the first to answer is taken. Nothing here is verified. Used
/// from one thread.
class ContentStream {
 public:
  /// Of the whole content, as the first source states it; another source must agree.
  std::uint64_t size() const { return size_; }
  std::uint64_t offset() const { return offset_; }
  /// Behind the last byte of the part that was asked for.
  std::uint64_t end() const { return wanted_end_ ? std::min(*wanted_end_, size_) : size_; }
  /// Peer::key() of those that have sent bytes, each once, in order.
  const std::vector<std::string>& senders() const { return senders_; }
  /// The same, and those that answer for what came from a shared source.
  std::vector<std::string> contributors() const;
  /// Whether some of the bytes came from a shared source.
  bool was_shared() const { return shared_ != nullptr; }
  /// Whether the origin has sent some of the bytes.
  bool origin_contributed() const { return origin_contributed_; }

  /// Some of the next bytes; 0 at the end. Errors: Errc::unavailable when no source is left,
  /// Errc::cancelled.
  awaitable<Result<std::size_t>> read(MutableBytes into);

 private:
  friend class Fetcher;
  struct Source {
    std::string peer{};  ///< its key; empty: the origin, or a shared one
    std::optional<Exchange> exchange{};
    std::uint64_t before = 0;  ///< bytes that precede those that are wanted
    std::shared_ptr<SharedSource>
        shared{};  ///< instead of an exchange; whoever fills it has it too
    std::uint64_t bytes = 0;
    Duration waited{0};
  };
  ContentStream(class Fetcher& fetcher, ContentRequest request, ContentPart part,
                Continuation continuation);

  awaitable<Result<void>> begin();
  awaitable<Result<void>> next_source();
  awaitable<Result<Source>> next_peer();
  awaitable<Result<Source>> ask(Peer peer);
  awaitable<Result<Source>> source_at(Peer peer);
  awaitable<Result<Source>> ask_and_hedge(Peer peer);
  awaitable<Result<Source>> ask_another();
  awaitable<Result<Peer>> next_candidate();
  awaitable<Result<Source>> continued();
  awaitable<Result<Source>> continue_once(bool others);
  bool is_slow();
  awaitable<Result<void>> leave_slow_source();
  awaitable<Result<Source>> faster_source();
  awaitable<Result<std::size_t>> read_source(MutableBytes into);
  void count(std::size_t bytes);
  void note_break(const error_code& error);
  Result<Source> accepted(std::string peer, Exchange exchange);
  Result<Source> accepted_of_origin(Exchange exchange);

  Fetcher* fetcher_;
  ContentRequest request_;
  std::uint64_t offset_;
  std::optional<std::uint64_t> wanted_end_;
  std::uint64_t size_ = 0;
  bool size_known_ = false;
  bool origin_first_ = false;  ///< it began at the origin
  Continuation continuation_;
  unsigned continuations_ = 0;  ///< so far
  unsigned in_vain_ = 0;        ///< of the last ones, those that gave no byte
  std::string known_;           ///< the key of the peer that was asked first, without a search
  bool recalled_ = false;
  std::unique_ptr<PeerSearch> search_;
  bool sent_to_herd_ = false;  ///< a peer has said so
  bool exhausted_ = false;     ///< the search has named all that it could
  std::size_t asked_ = 0;
  bool hedged_ = false;        ///< a second peer has been asked beside a silent one
  std::optional<Peer> hedge_;  ///< … which has lost only by time
  std::optional<Source> source_;
  bool slow_ = false;  ///< another source is looked for before the next read
  std::vector<std::string> senders_;
  std::shared_ptr<SharedSource> shared_;  ///< that has given bytes; as in Source
  bool origin_contributed_ = false;
};

}  // namespace hagring::registry
