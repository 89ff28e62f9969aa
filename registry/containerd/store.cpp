// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/store.hpp"

#include <boost/asio/post.hpp>

#include "userspace/base/deadline.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/run_on.hpp"

namespace hagring::containerd {
namespace {

using namespace std::chrono_literals;

constexpr auto kPart = "containerd";
/// A pull waits for this question: one that containerd, busy or hung, doesn't answer soon goes on
/// without.
constexpr Duration kLookupLimit = 1s;
/// A pull makes a handful; 200 a second cost containerd one hundredth of a core.
constexpr std::size_t kLookupsPerSecond = 200;
/// Content without a label may get one: containerd sets it right after the commit
/// (core/remotes/docker/handler.go), which takes one write to its database.
constexpr Duration kLabelComes = 1s;
constexpr Duration kBetweenLooks = 200ms;

/// Whether `ref`, such as `layer-sha256:…`, is that of an ingest of `digest`
/// (containerd, core/remotes/handlers.go, MakeRefKey: `<kind>-<digest>`).
bool is_ingest_of(std::string_view ref, std::string_view digest) {
  return ref == digest || (ref.size() > digest.size() && ref.ends_with(digest) &&
                           ref[ref.size() - digest.size() - 1] == '-');
}

}  // namespace

ContainerdStore::ContainerdStore(asio::any_io_executor control, Clock& clock,
                                 FollowerOptions options, Follower::Listener listener,
                                 LayerKeeperOptions layers)
    : control_(control),
      clock_(clock),
      follower_(control, clock, std::move(options), std::move(listener)),
      layer_host_(follower_),
      keeper_(clock, std::move(layers), layer_host_),
      lookups_(clock, kLookupsPerSecond),
      source_lookups_(clock, kLookupsPerSecond),
      known_sources_(clock),
      tasks_(control, "containerd") {}

void ContainerdStore::find_socket() { follower_.find_socket(); }

void ContainerdStore::start() {
  tasks_.spawn([this] { return follower_.run(tasks_); });
  tasks_.spawn([this] { return keeper_.run(); });
}

awaitable<void> ContainerdStore::stop() {
  tasks_.cancel();
  co_await tasks_.drain();
}

awaitable<Result<registry::OpenBlob>> ContainerdStore::open(registry::Digest digest) {
  auto location = place_of(digest);
  if (!location && follower_.has_client()) {
    location =
        co_await run_on<Location>(control_, tasks_, [this, digest] { return locate(digest); });
  }
  if (!location) co_return location.error();
  // On the caller's thread: the control thread waits for no disk.
  auto opened = location->folder->open(digest, location->size);
  if (opened) co_return opened;
  if (opened.error() == Errc::bad_message) {
    log::warning(kPart, "{} in {} is not {} bytes long, as containerd says: not served",
                 digest.to_string(), location->folder->path(), location->size);
  } else if (opened.error() != Errc::not_found) {
    co_return opened;
  }
  // Collected, most likely, which makes nothing known.
  asio::post(control_, [this, digest] {
    follower_.index().remove_blob(digest);
    follower_.publish();
  });
  co_return Errc::not_found;
}

awaitable<void> ContainerdStore::manifest_served(std::string image, registry::Digest digest,
                                                 std::string_view manifest) {
  if (!keeper_.keeping()) co_return;
  auto layers = layers_of(std::move(image), std::move(digest), manifest);
  if (!layers) co_return;
  const auto keep = [this, layers = *std::move(layers)]() -> awaitable<Result<int>> {
    CO_CHECK(co_await keeper_.keep(layers));
    co_return 0;
  };
  (void)co_await with_deadline(clock_, kLeaseLimit, run_on<int>(control_, tasks_, keep));
}

awaitable<Result<void>> ContainerdStore::find_blob(registry::Digest digest) {
  auto& index = follower_.index();
  if (index.size_of(digest)) co_return Result<void>();
  const auto client = follower_.client();
  if (!client) co_return Errc::unavailable;
  if (!lookups_.take()) co_return Errc::not_found;
  const auto ask = [](std::shared_ptr<Client> asked,
                      registry::Digest about) -> awaitable<Result<Blob>> {
    co_return co_await asked->blob(about);
  };
  auto blob = co_await with_deadline(clock_, kLookupLimit, ask(client, digest));
  if (!blob) co_return blob.error();
  index.add_blob(digest, blob->size);
  follower_.publish();
  co_return Result<void>();
}

awaitable<Result<ContainerdStore::Location>> ContainerdStore::locate(registry::Digest digest) {
  CO_CHECK(co_await find_blob(digest));
  co_return place_of(digest);
}

Result<ContainerdStore::Location> ContainerdStore::place_of(const registry::Digest& digest) const {
  const auto size = follower_.index().size_of(digest);
  if (!size) return follower_.has_client() ? Errc::not_found : Errc::unavailable;
  auto folder = follower_.folder();
  if (!folder) return Errc::unavailable;
  return Location{.folder = std::move(folder), .size = *size};
}

awaitable<Result<registry::Descriptor>> ContainerdStore::resolve(std::string name) {
  return run_on<registry::Descriptor>(control_, tasks_,
                                      [this, name] { return resolve_here(name); });
}

awaitable<Result<registry::Descriptor>> ContainerdStore::resolve_here(std::string name) {
  auto target = follower_.index().target_of(name);
  if (!target) co_return Errc::not_found;
  CO_CHECK(co_await find_blob(target->digest));
  co_return *std::move(target);
}

awaitable<Result<KnownSources::Sources>> ContainerdStore::sources(registry::Digest digest) {
  if (auto known = known_sources_.fresh(digest)) co_return *std::move(known);
  if (!follower_.index().size_of(digest)) co_return Errc::not_found;
  auto asked = co_await run_on<BlobSources>(control_, tasks_,
                                            [this, digest] { return sources_here(digest); });
  if (asked) {
    known_sources_.learn(digest, asked->all, clock_.wall() - asked->created);
    co_return std::move(asked->all);
  }
  auto last = known_sources_.last(digest);
  if (last && asked.error() != Errc::not_found) co_return *std::move(last);
  co_return asked.error();
}

awaitable<Result<BlobSources>> ContainerdStore::sources_here(registry::Digest digest) {
  while (true) {
    CO_TRY(auto sources, co_await ask_sources(digest));
    const auto age = clock_.wall() - sources.created;
    const bool may_come = sources.all.empty() && age >= 0s && age < kLabelComes;
    if (!may_come || co_await asked_to_stop()) co_return std::move(sources);
    co_await clock_.sleep_for(kBetweenLooks);
  }
}

awaitable<Result<BlobSources>> ContainerdStore::ask_sources(registry::Digest digest) {
  if (!follower_.index().size_of(digest)) co_return Errc::not_found;
  const auto client = follower_.client();
  if (!client || !source_lookups_.take()) co_return Errc::unavailable;
  const auto ask = [](std::shared_ptr<Client> asked,
                      registry::Digest about) -> awaitable<Result<BlobSources>> {
    co_return co_await asked->sources(about);
  };
  co_return co_await with_deadline(clock_, kLookupLimit, ask(client, digest));
}

awaitable<Result<void>> ContainerdStore::abort_ingest(registry::Digest digest) {
  CO_TRY(const auto aborted, co_await run_on<std::size_t>(
                                 control_, tasks_, [this, digest] { return abort_here(digest); }));
  if (aborted > 0) {
    log::info(kPart, "containerd dropped what it had fetched of {}: the bytes were wrong",
              digest.to_string());
  }
  co_return Result<void>();
}

awaitable<Result<std::size_t>> ContainerdStore::abort_here(registry::Digest digest) {
  // Owned here too: the follower may lose the connection meanwhile.
  const auto client = follower_.client();
  if (!client) co_return Errc::unavailable;
  const auto refs = co_await client->ingests();
  if (!refs) co_return Errc::unavailable;
  const auto text = digest.to_string();
  std::size_t aborted = 0;
  for (const auto& ref : *refs) {
    if (!is_ingest_of(ref, text)) continue;
    const auto ended = co_await client->abort(ref);
    if (!ended && ended.error().code != Errc::not_found) {
      log::warning(kPart, "containerd did not abort the ingest {}: {}", ref,
                   ended.error().to_string());
      co_return Errc::unavailable;
    }
    ++aborted;
  }
  co_return aborted;
}

}  // namespace hagring::containerd
