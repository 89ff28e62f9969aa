// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <string>

#include "registry/containerd/follower.hpp"
#include "registry/containerd/layer_host.hpp"
#include "registry/containerd/layer_keeper.hpp"
#include "registry/containerd/lookup_budget.hpp"
#include "registry/containerd/source_labels.hpp"
#include "registry/content_store.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::containerd {

/// What a manifest's last byte waits for its lease, at the most. A lease takes a few milliseconds,
/// a layer's resource one write to containerd's database; a pull takes longer than both.
inline constexpr Duration kLeaseLimit = std::chrono::milliseconds(500);

/// The content of one containerd namespace: an index of it is kept in step by events and rescans,
/// bytes are read from containerd's own files. The constructor, start(), stop(), state() and the
/// listener belong to the control thread, that of `control`; the ContentStore calls may come from
/// any thread.
class ContainerdStore final : public registry::ContentStore {
 public:
  /// `listener` is told on the control thread of the keys (digests, and names worth announcing)
  /// that are there now and that aren't any longer, at start of all that there are.
  ContainerdStore(asio::any_io_executor control, Clock& clock, FollowerOptions options,
                  Follower::Listener listener, LayerKeeperOptions layers = {});

  /// Looks where containerd's socket is, for state(), without asking it anything.
  void find_socket();
  /// Begins to look for containerd and to follow it; whether it is there doesn't matter.
  void start();

  /// Ends everything; returns when nothing is under way. Nobody may use the store any more.
  awaitable<void> stop();

  FollowerState state() const { return follower_.state(); }
  LayerKeeperState layers() const { return keeper_.state(); }

  /// Has the layers kept of an image whose manifest this node's client is about to have, if the
  /// runtime would throw them away. Returns when the lease is made, after kLeaseLimit at the
  /// latest: the pull goes on without then, and the lease is made meanwhile. From any thread;
  /// `manifest` has to stay until it returns.
  awaitable<void> manifest_served(std::string image, registry::Digest digest,
                                  std::string_view manifest);

  /// What the index knows is opened without a word to the control thread. A blob that it doesn't
  /// know yet is asked for at containerd, for a second at most, and
  /// not more often than 200 times a second: what is asked beyond that isn't found.
  /// Errors: Errc::not_found also where the file has gone or has another size; Errc::unavailable
  /// and Errc::timed_out where containerd doesn't answer.
  awaitable<Result<registry::OpenBlob>> open(registry::Digest digest) override;
  awaitable<Result<registry::Descriptor>> resolve(std::string name) override;
  awaitable<Result<void>> abort_ingest(registry::Digest digest) override;
  /// Asked of containerd, with a budget of its own as above, and kept for a while (KnownSources).
  /// Content that came a moment ago and has no label is asked about again: the label comes after
  /// it.
  awaitable<Result<std::vector<registry::ContentSource>>> sources(registry::Digest digest) override;

 private:
  /// A blob, and the folder that it is to be opened in.
  struct Location {
    // Shared with the follower, which may meanwhile turn to another folder.
    std::shared_ptr<const ContentFolder> folder;
    std::uint64_t size = 0;
  };
  /// Returns when the blob is in the index.
  awaitable<Result<void>> find_blob(registry::Digest digest);
  /// Where the index says that a blob is. From any thread.
  Result<Location> place_of(const registry::Digest& digest) const;
  awaitable<Result<Location>> locate(registry::Digest digest);
  awaitable<Result<registry::Descriptor>> resolve_here(std::string name);
  awaitable<Result<std::size_t>> abort_here(registry::Digest digest);
  awaitable<Result<BlobSources>> ask_sources(registry::Digest digest);
  awaitable<Result<BlobSources>> sources_here(registry::Digest digest);

  asio::any_io_executor control_;
  Clock& clock_;
  Follower follower_;
  FollowedHost layer_host_;
  LayerKeeper keeper_;
  LookupBudget lookups_;
  LookupBudget source_lookups_;  ///< who asks for what isn't here can't use this one up
  KnownSources known_sources_;
  TaskGroup tasks_;
};

}  // namespace hagring::containerd
