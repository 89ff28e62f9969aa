// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <random>

#include "registry/breaker.hpp"
#include "userspace/base/dialer.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/base/tls_context.hpp"

namespace hagring::registry {

/// Probes the servers whose breaker is open until they answer: a connection, a TLS handshake whose
/// chain isn't verified (it is about life only, and no secret is sent), and `GET /v2/`.
class BreakerProbes {
 public:
  struct Options {
    Duration connect = std::chrono::seconds(5);  ///< with the handshake
    Duration answer = std::chrono::seconds(5);
    std::size_t servers = 64;  ///< probed at the same time; others are tried by requests only
    std::uint64_t seed = std::random_device{}();  ///< of the jitter
  };

  /// All references outlive it; `tls` may be null where no server has TLS. Sets breaker.on_probe().
  BreakerProbes(asio::any_io_executor executor, Clock& clock, Dialer& dialer, SSL_CTX* tls,
                Breaker& breaker)
      : BreakerProbes(std::move(executor), clock, dialer, tls, breaker, Options()) {}
  BreakerProbes(asio::any_io_executor executor, Clock& clock, Dialer& dialer, SSL_CTX* tls,
                Breaker& breaker, Options options);

  /// Ends all probes and begins no more. On the executor's thread, once, when no other thread uses
  /// the breaker any more.
  awaitable<void> stop();

 private:
  struct Found {
    ProbeFinding finding;
    std::string reason;
  };
  void start(OriginServer server);
  awaitable<void> keep_probing(OriginServer server);
  awaitable<Found> probe(OriginServer server, std::optional<asio::ip::tcp::endpoint> preferred);
  awaitable<Result<std::unique_ptr<ByteStream>>> connect(Destination destination, bool tls);

  const asio::any_io_executor executor_;
  Clock& clock_;
  Dialer& dialer_;
  SSL_CTX* tls_;
  Breaker& breaker_;
  const Options options_;
  std::mt19937_64 random_;
  TaskGroup tasks_;
  bool stopped_ = false;
};

}  // namespace hagring::registry
