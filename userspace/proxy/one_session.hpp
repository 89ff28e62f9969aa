// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/base/tls_stream.hpp"
#include "userspace/egress/proxied_request.hpp"
#include "userspace/proxy/client_hello.hpp"
#include "userspace/proxy/session.hpp"

namespace hagring::proxy {

/// One connection, from accept to close. What is said to an egress proxy is in proxied_session.cpp.
class Sessions::Session {
 public:
  Session(Sessions& owner, asio::ip::tcp::socket client)
      : owner_(owner), hooks_(owner.hooks_), options_(owner.options_), client_(std::move(client)) {}

  awaitable<void> run();

 private:
  /// What the client's first bytes have turned out to be.
  enum class Opening { tls, http, tunnel, proxied_http, other, silent, late, malformed, left };

  awaitable<Opening> read_opening();
  std::optional<Opening> recognize();
  std::optional<Opening> recognize_request();
  awaitable<Result<std::size_t>> read_more();

  awaitable<void> serve(Opening opening);
  awaitable<void> serve_tls();
  awaitable<Result<Decision>> decide(std::string name);
  awaitable<Decision> decide_in_time(std::string name);
  awaitable<void> terminate(std::string name, bool probe);
  void report_failure(const TlsStream& tls, error_code error, const std::string& name, bool probe);
  awaitable<void> serve_http();
  awaitable<void> hand_over(std::shared_ptr<ByteStream> stream, Intercepted connection,
                            Bytes read_ahead);
  awaitable<void> end_politely(std::shared_ptr<ByteStream> stream);

  bool asks_for_probe() const;
  awaitable<void> serve_tunnel();
  awaitable<Result<void>> accept_tunnel();
  awaitable<void> serve_in_tunnel();
  awaitable<void> serve_proxied_http();
  awaitable<Result<asio::ip::tcp::socket>> dial_proxy();

  awaitable<void> splice(SpliceReason reason);
  void tell(RelayNews news, const std::string& why);
  awaitable<Result<asio::ip::tcp::socket>> dial_original();

  SessionCounters& count() { return owner_.counters_; }
  /// What the client has said to whom it is talking to now.
  ByteView said() const { return asks_proxy_ ? asked_.bytes() : opening_.bytes(); }

  Sessions& owner_;
  const SessionHooks& hooks_;
  const SessionOptions& options_;
  asio::ip::tcp::socket client_;
  Original original_;
  std::string proxy_host_;              ///< where `original_` is an egress proxy: its name
  bool asks_proxy_ = false;             ///< what comes next is for the proxy itself
  bool in_tunnel_ = false;              ///< we have said yes in its place
  egress::ProxiedRequestReader asked_;  ///< what the client said to the proxy
  ClientHelloReader opening_;           ///< what it said to the server
};

}  // namespace hagring::proxy
