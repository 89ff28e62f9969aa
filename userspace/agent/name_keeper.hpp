// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "userspace/base/clock.hpp"
#include "userspace/dns/resolv_conf.hpp"
#include "userspace/dns/stub.hpp"

namespace hagring::agent {

/// Has the hook lead the client's queries to the stub: for each name server that the client's own
/// resolv.conf(5) lists, which is followed. Used on the control thread.
class NameKeeper {
 public:
  struct Options {
    bool enabled = true;
    dns::Stub::Options stub{};
    /// How often the file is looked at. Until then a new server is asked directly; Go itself looks
    /// every 5 s.
    Duration interval = std::chrono::seconds(1);
    std::string proc = "/proc";
    /// Where to look if the client's own root can't be entered (that takes CAP_SYS_PTRACE).
    std::string host_root = "/";
  };

  /// The redirector's of these names.
  struct Hooks {
    std::function<Result<void>(const asio::ip::address& server, int udp_fd, int tcp_fd)>
        set_name_server;
    std::function<void(const asio::ip::address& server)> remove_name_server;
  };

  /// References outlive the keeper.
  NameKeeper(asio::any_io_executor executor, Clock& clock, Hooks hooks,
             dns::DoubtfulNames& doubtful, Options options, dns::Stub::Mirrored mirrored);

  /// Another client, or none. Its name servers have their stubs when this returns.
  void follow(std::optional<pid_t> client);

  /// Follows the client's file until it is cancelled.
  awaitable<void> run();

  /// Has name servers asked directly again and ends what is under way. Once no client is redirected
  /// any more.
  awaitable<void> drain();

  const dns::Stub& stub() const { return stub_; }

 private:
  void look();
  Result<std::string> read() const;
  bool apply(const dns::ResolvConf& conf);
  bool lead(const asio::ip::address& server);
  void complain(const std::string& what, const error_code& error);

  Clock& clock_;
  const Hooks hooks_;
  const Options options_;
  dns::Stub stub_;
  std::optional<pid_t> client_;
  std::optional<dns::ResolvConf> tried_;  ///< what the file said last
  bool done_ = false;                     ///< it is applied, all of it
  Duration pause_{};                      ///< before the next attempt
  TimePoint next_attempt_;
  std::set<std::string> complaints_;  ///< since the file changed; not repeated
};

}  // namespace hagring::agent
