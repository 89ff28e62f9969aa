// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "userspace/base/asio.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"
#include "userspace/redirect/attachment.hpp"
#include "userspace/redirect/rule.hpp"

namespace hagring::redirect {

struct RedirectorOptions {
  /// Where the maps are shown to bpftool. An agent of its own for another containerd needs a
  /// directory of its own. Empty: nowhere.
  std::string pin_directory = "/sys/fs/bpf/hagring";
  /// Without a beat for so long, connections pass untouched.
  std::chrono::milliseconds heartbeat_timeout{500};
  /// Connections whose original destination is kept; the least recently opened go first.
  std::uint32_t max_flows = 16384;
  std::vector<Rule> rules = default_rules();
};

/// A process whose connections are led to the mirror.
struct Client {
  /// As the initial pid namespace has it; kAnyTask for every task whose socket the programs see,
  /// for agents that live in another pid namespace and can't know it.
  std::uint32_t tgid = 0;
  std::uint32_t pid = 0;  ///< as the agent sees it; for people
  std::string comm;       ///< for people
  std::string cgroup;     ///< for people
  std::uint64_t cgroup_id = 0;
  bool redirected = true;

  static constexpr std::uint32_t kAnyTask = 0;
};

/// One redirected connection.
struct Flow {
  asio::ip::tcp::endpoint original;  ///< where the client wanted to go
  asio::ip::tcp::endpoint client;
  std::uint16_t mirror_port = 0;
  std::uint32_t client_tgid = 0;
  std::string client_comm;
  std::uint64_t socket_cookie = 0;
  TimePoint opened;
  bool open = false;
};

/// What became of the connect() calls that the hook saw, by outcome ("redirected",
/// "passed_no_rule", …; bpf/redirect_abi.h has them all).
struct Counter {
  std::string_view name;
  std::uint64_t value = 0;
};

/// The hook in the kernel: loads it, fills its maps, reads what it recorded. Nothing is redirected
/// before there is a listener, a client, an attachment and a heartbeat.
///
/// beat(), pause() and find_flow() may be called from any thread, the rest from one at a time.
class Redirector {
 public:
  enum class Load {
    at_once,
    beside,  ///< on a thread of its own, until finish_loading()
  };

  /// Loads the programs and pins the maps, in the place of whatever pins were there.
  /// Throws StartError: a capability, a kernel feature or the BPF file system is missing.
  explicit Redirector(RedirectorOptions options, Load load = Load::at_once);
  ~Redirector();
  Redirector(const Redirector&) = delete;
  Redirector& operator=(const Redirector&) = delete;

  /// After Load::beside: waits for it, before anything else is asked of this object. Once. Throws
  /// what the constructor would have.
  void finish_loading();

  /// Names the mirror's listening sockets (-1: none for that family), and marks them so that no
  /// other program's listener is taken for them. Each must be bound to one exact address.
  /// Errors: Errc::not_loopback, or the system's.
  Result<void> set_listeners(int v4_fd, int v6_fd);

  /// Attaches the programs to a cgroup v2 directory. The attachment must go before this object.
  /// Errors: see Attachment::make.
  Result<Attachment> attach(const std::string& cgroup_path);

  Result<void> set_client(const Client& client);
  void remove_client(std::uint32_t tgid);

  /// Adds the rule or changes its action.
  Result<void> set_rule(const Rule& rule);
  void remove_rule(const Rule& rule);

  /// Leads what clients ask `server` on port 53 to a stub of the agent's: these two sockets, a
  /// bound UDP and a listening TCP one, both on one exact loopback address of the server's family.
  /// Errors: Errc::not_loopback, or the system's.
  Result<void> set_name_server(const asio::ip::address& server, int udp_fd, int tcp_fd);
  /// The server is asked directly again. Before its stub's sockets are closed.
  void remove_name_server(const asio::ip::address& server);

  /// Says that the agent lives; to be called several times within heartbeat_timeout, from where
  /// connections are accepted. A plain store.
  void beat() noexcept;
  /// The opposite: nothing is redirected from now on until the next beat.
  void pause() noexcept;

  /// What a connection that the mirror accepted was meant for.
  /// Errors: hagring::Errc::not_found: it came here by itself or its client has closed it.
  Result<Flow> find_flow(int accepted_fd) const;

  /// The newest `most` connections, newest first, closed ones included.
  std::vector<Flow> recent_flows(std::size_t most) const;

  std::vector<Counter> counters() const;

  /// Takes down the pins, unless another agent has replaced them meanwhile. The destructor does it,
  /// too; after a kill they stay, readable, until the next start.
  void remove_pins();

 private:
  struct State;
  static std::unique_ptr<State> load(const RedirectorOptions& options);

  std::future<std::unique_ptr<State>> loading_;
  std::unique_ptr<State> state_;
};

}  // namespace hagring::redirect
