// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "userspace/base/clock.hpp"
#include "userspace/dns/resolv_conf.hpp"
#include "userspace/dns/stub.hpp"
#include "userspace/redirect/redirector.hpp"

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

  /// References outlive the keeper.
  NameKeeper(asio::any_io_executor executor, Clock& clock, redirect::Redirector& redirector,
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
  void apply(const dns::ResolvConf& conf);
  void complain(const std::string& what, const error_code& error);

  Clock& clock_;
  redirect::Redirector& redirector_;
  const Options options_;
  dns::Stub stub_;
  std::optional<pid_t> client_;
  std::optional<dns::ResolvConf> applied_;
  std::string complaint_;  ///< the last one, which isn't repeated
};

}  // namespace hagring::agent
