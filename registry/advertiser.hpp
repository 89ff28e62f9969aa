// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <string>
#include <vector>

#include "registry/content_router.hpp"
#include "userspace/base/clock.hpp"

namespace hagring::registry {

/// What came to a store and what went: keys as ContentRouter has them, digests and image names.
struct StoreChange {
  std::vector<std::string> added{};
  std::vector<std::string> removed{};
};

/// Tells the router what the store has. Changes are gathered for a moment, since a pull adds many
/// keys at once and what is added and removed at once isn't worth a word. Used on one thread.
class Advertiser {
 public:
  struct Options {
    Duration gather = std::chrono::milliseconds(200);
    /// After a failure the same keys are tried again, after this long.
    Duration retry = std::chrono::seconds(10);
    std::size_t batch_keys = 1000;  ///< the most in one call of the router
  };

  Advertiser(const asio::any_io_executor& executor, Clock& clock, ContentRouter& router)
      : Advertiser(executor, clock, router, Options()) {}
  Advertiser(const asio::any_io_executor& executor, Clock& clock, ContentRouter& router,
             Options options);

  /// Takes a change in; run() passes it on.
  void notify(StoreChange change);

  /// Passes changes on until it is cancelled.
  awaitable<void> run();

 private:
  awaitable<Result<void>> pass_on(bool added);

  Clock& clock_;
  ContentRouter& router_;
  const Options options_;
  std::map<std::string, bool> pending_;  ///< key → whether it was added (else removed)
  asio::steady_timer changed_;
};

}  // namespace hagring::registry
