// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "tests/proxy/accept_thread.hpp"
#include "tests/proxy/tls_client.hpp"
#include "tests/support/test_certificate.hpp"
#include "userspace/base/racing_dialer.hpp"
#include "userspace/proxy/listener.hpp"
#include "userspace/proxy/session.hpp"

namespace hagring::proxy {

/// A proxy whose hook, policy and mirror are the test's: listener, sessions, dialer and splicer are
/// real, on sockets of loopback. Clients connect to it directly.
class ProxyFixture : public testing::Test {
 public:
  /// A reply that the handler sends, then the connection ends.
  static constexpr std::string_view kReply = "answered by the mirror";

 protected:
  using tcp = asio::ip::tcp;

  ProxyFixture();
  ~ProxyFixture() override;

  /// Starts the proxy with what the members below say.
  void start();
  /// Drains the listener.
  void stop();
  /// A client of the proxy.
  test::BlockingSocket connect();
  /// A TLS client for `name` that trusts the mirror's certificate.
  test::TlsEndpoint connect_tls(const std::string& name, std::size_t segment = SIZE_MAX);
  /// The next connection at the origin.
  test::BlockingSocket accept_at_origin();
  /// Whether nobody has connected to the origin.
  bool origin_untouched();
  const SessionCounters& counters() const { return counters_; }
  std::uint64_t spliced(SpliceReason reason) const {
    return counters().spliced[static_cast<std::size_t>(reason)];
  }
  Intercepted last_intercepted();

  struct Resolver final : hagring::Resolver {
    std::map<std::string, Addresses> names;
    awaitable<Result<Addresses>> resolve(std::string name) override {
      const auto found = names.find(name);
      if (found == names.end()) co_return Errc::not_found;
      co_return found->second;
    }
  };

  // What a test may set before start().
  SessionOptions options;
  Original original;  ///< what the hook remembers: the origin, at first
  bool hook_remembers = true;
  Decision decision{.terminate = true};
  bool decision_hangs = false;
  bool plain_registry = false;
  bool is_egress_proxy = false;   ///< what the client had wanted to connect to
  std::size_t handler_reads = 1;  ///< reads before it replies
  bool handler_hangs = false;
  Resolver resolver;
  test::TestCertificate certificate = test::make_certificate("registry.test");

  // What has been reported.
  std::mutex mutex;
  std::vector<Intercepted> intercepted;  ///< without their streams
  std::vector<std::string> requests;
  std::vector<std::string> decided;  ///< `host:port` that was asked about
  std::vector<bool> probes;
  std::vector<int> alerts;
  std::vector<std::pair<std::string, RelayNews>> news;  ///< of relayed connections, by name

  SslContext trusting = test::make_client_context_trusting(&certificate);
  SslContext distrusting = test::make_client_context_trusting(nullptr);
  std::unique_ptr<Listener> listener;

 private:
  SessionHooks hooks();
  awaitable<void> handle(Intercepted connection);

  SystemClock clock_;
  SystemConnector connector_;
  Splicer splicer_{{}};
  SslContext server_ = test::make_server_context_with(certificate);
  asio::io_context origin_context_;
  tcp::acceptor origin_{origin_context_, {asio::ip::address_v4::loopback(), 0}};
  test::AcceptThread accept_;  // outlives the data threads: see Listener::drain
  DataThreads data_{2, "data"};
  std::unique_ptr<RacingDialer> dialer_;
  SessionCounters counters_;
  std::vector<std::unique_ptr<Sessions>> sessions_;
};

}  // namespace hagring::proxy
