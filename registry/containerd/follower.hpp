// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "registry/containerd/client.hpp"
#include "registry/containerd/content_folder.hpp"
#include "registry/containerd/content_index.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::containerd {

struct FollowerOptions {
  std::string socket;  ///< empty: wherever find_sockets finds one, looked for at each attempt
  /// Where the host's root is mounted; empty: at `/`. Found sockets and the content folder are
  /// looked for below it; a `socket` that is given is not.
  std::string host_root{};
  std::string name_space = "k8s.io";  ///< containerd's namespace; others are invisible
  /// Everything is listed anew so often, since garbage collection makes nothing known.
  Duration rescan_interval = std::chrono::minutes(5);
  /// And so long after something was deleted: containerd collects within a second, as a rule.
  Duration rescan_after_delete = std::chrono::seconds(2);
  /// The longest wait before the next attempt to reach containerd; it starts at a tenth.
  Duration longest_retry = std::chrono::seconds(1);
};

/// What is known about the connection to containerd, for people.
struct FollowerState {
  bool connected = false;  ///< and listed once since
  std::string problem;     ///< why it isn't connected and what to check; empty when it is
  std::string socket;      ///< the one that is used, or was tried last
  std::string flavour;     ///< whose socket it is, where it was found and not given
  std::string version;     ///< containerd's
  std::string root;        ///< the content folder as this process reaches it
  std::size_t blobs = 0;
  std::size_t images = 0;
};

/// Keeps a ContentIndex in step with containerd, over its restarts, and tells what changes.
/// Lives on one thread, the control thread; what others may call says so.
class Follower {
 public:
  using Listener = std::function<void(Changes)>;

  Follower(asio::any_io_executor executor, Clock& clock, FollowerOptions options,
           Listener listener);

  /// Finds the socket ahead of run(), for state(); what is in the way run() will tell.
  void find_socket() { (void)choose_socket(); }
  /// Runs until it is cancelled. Tasks that it starts belong to `group`, which has to be drained
  /// before this goes.
  awaitable<void> run(TaskGroup& group);

  ContentIndex& index() { return index_; }
  const ContentIndex& index() const { return index_; }
  /// The connection that calls may be made over; nullptr when there is none. Callers share it
  /// with run(), which drops it when it breaks.
  std::shared_ptr<Client> client() const { return client_; }
  /// Whether there is one. From any thread.
  bool has_client() const { return has_client_; }
  /// Callers share it with run(), which replaces it when containerd has moved. From any thread.
  std::shared_ptr<const ContentFolder> folder() const;
  const FollowerState& state() const { return state_; }
  const FollowerOptions& options() const { return options_; }
  /// containerd's process; 0: in another pid namespace.
  pid_t pid() const { return pid_; }
  /// Something is about to be collected, which nothing tells: everything is listed anew soon.
  void expect_collection();
  /// Hands what changed in the index to the listener.
  void publish();

 private:
  awaitable<RpcError> session(TaskGroup& group);
  RpcResult<void> choose_socket();
  awaitable<RpcResult<void>> connect();
  awaitable<RpcError> follow();
  awaitable<void> collect(std::shared_ptr<EventStream> events);
  awaitable<RpcResult<void>> scan();
  awaitable<RpcResult<void>> scan_blobs();
  awaitable<RpcResult<void>> scan_images();
  awaitable<RpcResult<void>> apply(Event event);
  awaitable<RpcResult<void>> update_image(std::string name);
  void schedule_scan(Duration from_now);
  void set_client(std::shared_ptr<Client> client);
  void lose(const RpcError& error);

  asio::any_io_executor executor_;
  Clock& clock_;
  FollowerOptions options_;
  Listener listener_;
  ContentIndex index_;
  FollowerState state_;
  pid_t pid_ = 0;  ///< containerd's; 0: in another pid namespace
  std::shared_ptr<Client> client_;
  std::atomic<bool> has_client_ = false;
  mutable std::mutex folder_mutex_;
  std::shared_ptr<const ContentFolder> folder_;

  /// Events that wait for their turn; past kMaxWaiting they are dropped for a whole scan.
  std::deque<Event> waiting_;
  std::optional<RpcError> lost_;  ///< the event stream has ended
  bool scan_again_ = false;       ///< shortly after the next scan
  TimePoint next_scan_{};
  asio::steady_timer woken_;  ///< cancelled when there is an event, or the stream has ended
};

}  // namespace hagring::containerd
