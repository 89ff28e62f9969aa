// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/follower.hpp"

#include <boost/asio/post.hpp>

#include "registry/containerd/image_walk.hpp"
#include "registry/containerd/sockets.hpp"
#include "userspace/base/log.hpp"

namespace hagring::containerd {
namespace {

using namespace std::chrono_literals;

constexpr auto kPart = "containerd";
constexpr std::size_t kMaxWaiting = 10'000;
/// So many images are taken over before others get their turn on the thread.
constexpr std::size_t kImagesAtOnce = 500;
/// Nothing tells when a subscription has begun: what happened just before shows in a second scan.
constexpr Duration kSecondScan = 5s;
/// A collection that was put off (much to collect, a lease that ended later) shows then.
constexpr Duration kLateCollection = 30s;

RpcError explain(const RpcError& error, std::string text) {
  return {.code = error.code, .text = std::move(text)};
}

awaitable<bool> is_stopping() {
  const auto state = co_await asio::this_coro::cancellation_state;
  co_return state.cancelled() != asio::cancellation_type::none;
}

}  // namespace

Follower::Follower(asio::any_io_executor executor, Clock& clock, FollowerOptions options,
                   Listener listener)
    : executor_(executor),
      clock_(clock),
      options_(std::move(options)),
      listener_(std::move(listener)),
      woken_(executor_, TimePoint::max()) {}

std::shared_ptr<const ContentFolder> Follower::folder() const {
  const std::lock_guard lock(folder_mutex_);
  return folder_;
}

void Follower::set_client(std::shared_ptr<Client> client) {
  client_ = std::move(client);
  has_client_ = client_ != nullptr;
}

awaitable<void> Follower::run(TaskGroup& group) {
  const auto first_retry = options_.longest_retry / 10;
  auto retry = first_retry;
  for (;;) {
    const auto error = co_await session(group);
    if (co_await is_stopping()) break;
    if (state_.connected) retry = first_retry;
    lose(error);
    co_await clock_.sleep_for(retry);
    if (co_await is_stopping()) break;
    retry = std::min(retry * 2, options_.longest_retry);
  }
  set_client(nullptr);
  state_.connected = false;
  state_.problem = "stopped";
}

void Follower::lose(const RpcError& error) {
  set_client(nullptr);
  const auto problem = error.to_string();
  if (state_.connected || problem != state_.problem) {
    log::warning(kPart, "{}; trying again, pulls go on without this node's content meanwhile",
                 problem);
  }
  state_.connected = false;
  state_.problem = problem;
}

awaitable<RpcError> Follower::session(TaskGroup& group) {
  if (auto chosen = choose_socket(); !chosen) co_return chosen.error();
  set_client(std::make_shared<Client>(state_.socket, options_.name_space));
  if (auto connected = co_await connect(); !connected) co_return connected.error();

  // Subscribed before everything is listed, so that nothing falls in between. Shared with
  // collect().
  const std::shared_ptr<EventStream> events = client_->events();
  co_await events->start();
  waiting_.clear();
  lost_.reset();
  group.spawn([this, events] { return collect(events); });
  auto error = co_await follow();
  events->cancel();
  woken_.expires_at(TimePoint::max());
  while (!lost_) co_await woken_.async_wait(kTuple);
  co_return error;
}

RpcResult<void> Follower::choose_socket() {
  if (!options_.socket.empty()) {
    state_.socket = options_.socket;
  } else {
    const auto found = find_sockets(options_.host_root);
    if (found.empty()) {
      return RpcError{.code = Errc::unavailable,
                      .text = "no containerd socket below " +
                              (options_.host_root.empty() ? "/" : options_.host_root) +
                              " (looked for " + searched_sockets() +
                              "): is containerd running, is its folder mounted?"};
    }
    if (found.size() > 1 && state_.socket != found.front().path) {
      log::warning(kPart, "several containerd sockets: {} ({}) is followed, {} ({}) is not",
                   found[0].path, found[0].flavour, found[1].path, found[1].flavour);
    }
    state_.socket = found.front().path;
    state_.flavour = found.front().flavour;
  }
  // Tried without gRPC first: the system says better what is wrong.
  const auto pid = listener_of(state_.socket);
  if (!pid) {
    return RpcError{.code = Errc::unavailable,
                    .text = "containerd's socket " + state_.socket + ": " + pid.error().message() +
                            " (is containerd running, may this process open the socket?)"};
  }
  pid_ = *pid;
  return {};
}

awaitable<RpcResult<void>> Follower::connect() {
  auto version = co_await client_->version();
  if (!version) {
    co_return explain(version.error(), state_.socket +
                                           " does not answer as containerd's API does (" +
                                           version.error().text +
                                           "): is containerd running, is it the right socket?");
  }
  CO_TRY(const auto root, co_await client_->content_root());
  auto folder = ContentFolder::find(root, options_.host_root, pid_);
  if (!folder) {
    co_return RpcError{.code = Errc::unavailable,
                       .text = "containerd keeps its content in " + root +
                               ", which can't be opened here (" + folder.error().message() +
                               "): mount it, read-only, at the same path"};
  }
  state_.version = *version;
  state_.root = folder->path();
  auto found = std::make_shared<const ContentFolder>(*std::move(folder));
  const std::lock_guard lock(folder_mutex_);
  folder_ = std::move(found);
  co_return RpcResult<void>();
}

awaitable<void> Follower::collect(std::shared_ptr<EventStream> events) {
  for (;;) {
    auto event = co_await events->next();
    if (!event) {
      lost_ =
          explain(event.error(), "lost " + state_.socket + " (" + event.error().to_string() + ")");
      woken_.cancel();
      co_return;
    }
    if (waiting_.size() >= kMaxWaiting) {
      waiting_.clear();
      schedule_scan(Duration::zero());
    } else {
      waiting_.push_back(*std::move(event));
    }
    woken_.cancel();
  }
}

awaitable<RpcError> Follower::follow() {
  next_scan_ = clock_.now();
  scan_again_ = false;
  while (!lost_) {
    if (clock_.now() >= next_scan_) {
      if (auto scanned = co_await scan(); !scanned) co_return scanned.error();
    } else if (!waiting_.empty()) {
      auto event = std::move(waiting_.front());
      waiting_.pop_front();
      if (auto applied = co_await apply(std::move(event)); !applied) co_return applied.error();
      publish();
    } else {
      woken_.expires_at(next_scan_);
      co_await woken_.async_wait(kTuple);
      if (co_await is_stopping()) co_return RpcError{.code = Errc::cancelled};
    }
  }
  co_return *lost_;
}

awaitable<RpcResult<void>> Follower::scan() {
  const bool is_first = !state_.connected;
  const bool again = std::exchange(scan_again_, false);
  next_scan_ = clock_.now() + (again ? kLateCollection : options_.rescan_interval);
  index_.begin_scan();
  CO_CHECK(co_await scan_blobs());
  CO_CHECK(co_await scan_images());
  index_.end_scan();
  publish();
  if (is_first) {
    state_.connected = true;
    state_.problem.clear();
    log::info(kPart, "containerd {} at {}: {} blobs and {} images in namespace {}, kept in {}",
              state_.version, state_.socket, index_.blobs(), index_.images(), options_.name_space,
              state_.root);
    schedule_scan(kSecondScan);
  }
  co_return RpcResult<void>();
}

awaitable<RpcResult<void>> Follower::scan_blobs() {
  const auto pages = client_->blobs();
  for (;;) {
    auto page = co_await pages->next();
    if (!page) {
      if (page.error().code == Errc::end_of_stream) co_return RpcResult<void>();
      co_return page.error();
    }
    for (const auto& blob : *page) index_.add_blob(blob.digest, blob.size);
    publish();
  }
}

awaitable<RpcResult<void>> Follower::scan_images() {
  CO_TRY(auto images, co_await client_->images());
  std::size_t taken = 0;
  for (auto& image : images) {
    index_.set_image(image.name, std::move(image.target));
    if (++taken % kImagesAtOnce != 0) continue;
    publish();
    co_await asio::post(executor_, asio::use_awaitable);
  }
  co_return RpcResult<void>();
}

awaitable<RpcResult<void>> Follower::apply(Event event) {
  switch (event.kind) {
    case Event::Kind::image_created:
    case Event::Kind::image_updated:
      co_return co_await update_image(std::move(event.subject));
    case Event::Kind::image_deleted:
      index_.remove_image(event.subject);
      expect_collection();
      break;
    case Event::Kind::content_created:
      if (const auto digest = registry::Digest::parse(event.subject)) {
        index_.add_blob(*digest, event.size);
      }
      break;
    case Event::Kind::content_deleted:
      if (const auto digest = registry::Digest::parse(event.subject)) index_.remove_blob(*digest);
      break;
  }
  co_return RpcResult<void>();
}

awaitable<RpcResult<void>> Follower::update_image(std::string name) {
  auto image = co_await client_->image(name);
  if (!image) {
    // Gone again, or nothing that can be served: not containerd's failure.
    const auto& code = image.error().code;
    if (code != Errc::not_found && code != Errc::bad_message) co_return image.error();
    index_.remove_image(name);
    co_return RpcResult<void>();
  }
  CO_CHECK(co_await walk_image(client_, index_, image->target));
  index_.set_image(image->name, std::move(image->target));
  co_return RpcResult<void>();
}

void Follower::expect_collection() {
  scan_again_ = true;
  schedule_scan(options_.rescan_after_delete);
  woken_.cancel();
}

void Follower::schedule_scan(Duration from_now) {
  next_scan_ = std::min(next_scan_, clock_.now() + from_now);
}

void Follower::publish() {
  state_.blobs = index_.blobs();
  state_.images = index_.images();
  auto changes = index_.take_changes();
  if (listener_ && !changes.empty()) listener_(std::move(changes));
}

}  // namespace hagring::containerd
