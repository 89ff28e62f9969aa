// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/address.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"

namespace hagring {

/// Turns names into addresses.
class Resolver {
 public:
  using Addresses = std::vector<asio::ip::address>;

  virtual ~Resolver() = default;

  /// The addresses of `name`, of both families, best first (RFC 6724); never an empty list. An
  /// address written as text is its own answer. Resumes on the caller's executor; cancellation
  /// returns at once, however long the lookup behind it still takes.
  /// Errors: Errc::not_found, Errc::timed_out, Errc::unavailable (the name servers can't be asked,
  /// or too many lookups wait), Errc::bad_message (not a name), Errc::cancelled.
  virtual awaitable<Result<Addresses>> resolve(std::string name) = 0;
};

/// getaddrinfo(3), so that the host's nsswitch.conf and hosts file are honoured, on a few threads
/// of its own. A lookup can't be interrupted: callers abandon it instead, and the destructor leaves
/// a thread behind that is stuck in one (it owns all that it touches). Safe from any thread.
class SystemResolver final : public Resolver {
 public:
  /// A blocking lookup; called on the resolver's threads.
  using Lookup = std::function<Result<Addresses>(const std::string& name)>;

  struct Options {
    std::size_t threads = 4;    ///< started when first needed
    std::size_t waiting = 256;  ///< callers at most; those beyond get Errc::unavailable
    /// What one caller waits at most. resolv.conf(5)'s own default is 5 s, two attempts.
    Duration limit = std::chrono::seconds(10);
  };

  SystemResolver() : SystemResolver(Options()) {}
  explicit SystemResolver(Options options, Lookup lookup = system_lookup);
  ~SystemResolver() override;

  awaitable<Result<Addresses>> resolve(std::string name) override;

  /// Asks getaddrinfo(3).
  static Result<Addresses> system_lookup(const std::string& name);

 private:
  struct State;
  /// Shared with each of the threads, of which stuck ones outlive the resolver.
  std::shared_ptr<State> state_;
};

}  // namespace hagring
