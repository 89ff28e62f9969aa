// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <list>
#include <optional>
#include <string>
#include <vector>

#include "registry/mirror.hpp"
#include "tests/registry/fake_server.hpp"
#include "tests/support/memory_store.hpp"
#include "tests/support/run.hpp"
#include "tests/support/static_router.hpp"
#include "tests/support/test_certificate.hpp"

namespace hagring::registry {

/// Connects names to fake servers, whatever address is preferred.
class FakeDialer final : public Dialer {
 public:
  std::map<std::string, asio::ip::tcp::endpoint> names;
  std::vector<Destination> dialled;
  bool black_hole = false;          ///< named connections neither succeed nor fail
  error_code refusal;               ///< what dialling fails with, if it is to
  std::optional<PlainProxy> proxy;  ///< of requests without TLS to names

  awaitable<Result<asio::ip::tcp::socket>> dial(Destination destination) override;
  std::optional<PlainProxy> plain_proxy(const Destination& destination) const override {
    return destination.preferred ? std::nullopt : proxy;
  }
};

/// What a client got.
struct Reply {
  unsigned status = 0;
  http::Headers headers{};
  http::BodyLength length{};
  std::string body{};
  error_code error{};       ///< of reading the head or the body
  std::size_t aborted = 0;  ///< ingests that had been aborted when the reply ended

  std::string header(std::string_view name) const {
    return std::string(headers.get(name).value_or(""));
  }
};

/// An agent's mirror between a client, an origin under the name registry-1.docker.io with TLS, and
/// peers; all of them on loopback sockets and one thread.
struct MirrorTest : testing::Test {
  /// Tests that aren't about it must not have a second peer asked because the machine is busy.
  explicit MirrorTest(FirstByteTimes::Options times = {.least = std::chrono::seconds(20),
                                                       .unknown = std::chrono::seconds(20)});
  ~MirrorTest() override;

  /// Adds a peer; call before the first request.
  test::FakeRegistry& add_peer();
  /// Makes one request on a new connection through the mirror.
  Reply ask(std::string method, std::string target, http::Headers headers = {});
  /// The same from within a coroutine, beside others.
  awaitable<Reply> ask_concurrently(std::string method, std::string target);
  Reply get_blob(const Digest& digest, http::Headers headers = {}) {
    return ask("GET", "/v2/library/nginx/blobs/" + digest.to_string(), std::move(headers));
  }
  /// Runs `client` with a connection to the mirror.
  void with_client(std::function<awaitable<void>(http::Connection&)> client);
  /// Returns when nothing goes on besides requests.
  void finish_background() { test::run(context, background_.drain()); }
  /// Ends all that goes on besides requests.
  void stop_background() {
    background_.cancel();
    finish_background();
  }
  /// Tells the mirror to drain, from within with_client().
  void drain() { mirror_->drain(); }
  /// Tells the mirror to stop, from within with_client().
  void stop() { serving_->cancel(); }
  Pull last_pull() { return record.recent().front(); }

  asio::io_context context;
  SystemClock clock;
  test::TestCertificate certificate = test::make_certificate("registry-1.docker.io");
  SslContext server_tls = test::make_server_context_with(certificate);
  SslContext client_tls = test::make_client_context_trusting(&certificate);
  test::FakeRegistry origin{context, clock, server_tls.get()};
  std::list<test::FakeRegistry> peers;
  std::vector<Peer> peer_list;

  Policy policy = Policy::defaults();
  test::MemoryStore store;
  Conduct conduct;
  Breaker breaker{clock};
  RateLimits limits{clock};
  PullRecord record;
  PullsUnderWay under_way{clock};
  FakeDialer dialer;
  MirrorOptions options;
  FetcherOptions fetcher_options;
  UpstreamClient::Options peer_limits;
  UpstreamClient::Options origin_limits;
  MirrorHooks hooks;
  KnownSizes sizes;
  Privacy privacy{clock};
  Grants grants{clock};
  Interception about;
  herd::Herds* herds = nullptr;

 private:
  void start();
  std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>> connect();
  awaitable<Reply> exchange(http::Connection& connection, http::Request request);

  TaskGroup* serving_ = nullptr;
  TaskGroup background_{context.get_executor(), "background"};
  std::optional<StaticRouter> router_;
  std::optional<UpstreamClient> peer_client_, origin_client_;
  std::optional<Fetcher> fetcher_;
  std::optional<Origin> origin_part_;
  std::optional<Mirror> mirror_;
};

}  // namespace hagring::registry
