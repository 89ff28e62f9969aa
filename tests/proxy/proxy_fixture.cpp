// SPDX-License-Identifier: Apache-2.0
#include "tests/proxy/proxy_fixture.hpp"

#include <poll.h>

namespace hagring::proxy {

ProxyFixture::ProxyFixture() { original.endpoint = origin_.local_endpoint(); }

ProxyFixture::~ProxyFixture() { stop(); }

void ProxyFixture::stop() {
  if (!listener) return;
  accept_.run(listener->drain());
  listener.reset();  // before the threads
}

void ProxyFixture::start() {
  RacingDialer::Options dialing;
  dialing.refuses = [this](const tcp::endpoint& to) { return listener->is_own(to); };
  dialer_ = std::make_unique<RacingDialer>(resolver, connector_, dialing);
  std::vector<asio::any_io_executor> executors;
  for (std::size_t i = 0; i < data_.size(); ++i) {
    executors.emplace_back(data_.at(i).get_executor());
    sessions_.push_back(
        std::make_unique<Sessions>(clock_, *dialer_, splicer_, counters_, hooks(), options));
  }
  listener = std::make_unique<Listener>(accept_.executor(), executors, Listener::Options(),
                                        [this](tcp::socket socket, std::size_t thread) {
                                          return sessions_[thread]->serve(std::move(socket));
                                        });
  accept_.call([this] { listener->start(); });
}

SessionHooks ProxyFixture::hooks() {
  SessionHooks hooks;
  hooks.original = [this](int) -> Result<Original> {
    if (!hook_remembers) return Errc::not_found;
    return original;
  };
  hooks.may_terminate = [this](std::string name, Original about) -> awaitable<Decision> {
    {
      const std::lock_guard lock(mutex);
      decided.push_back(name + ":" + std::to_string(about.port()));
    }
    if (decision_hangs) co_await clock_.sleep_for(std::chrono::hours(1));
    co_return decision;
  };
  hooks.is_plain_registry = [this](const Original&) { return plain_registry; };
  hooks.proxy_at = [this](const tcp::endpoint& endpoint) -> std::optional<std::string> {
    if (!is_egress_proxy || endpoint != original.endpoint) return std::nullopt;
    return "proxy.test";
  };
  hooks.mirrors_plain = [](const std::string& host, std::uint16_t port) {
    return host == "plain.test" && port == 5000;
  };
  hooks.make_server_ssl = [this](const std::string&) { return make_server_ssl(server_.get()); };
  hooks.handle = [this](Intercepted connection) { return handle(std::move(connection)); };
  hooks.probed = [this](const Original&, bool trusted, const std::string&) {
    const std::lock_guard lock(mutex);
    probes.push_back(trusted);
  };
  hooks.refused = [this](const Original&, const std::string&, int alert) {
    const std::lock_guard lock(mutex);
    alerts.push_back(alert);
  };
  hooks.relayed = [this](const Original&, const std::string& name, RelayNews what,
                         const std::string&) {
    const std::lock_guard lock(mutex);
    news.emplace_back(name, what);
  };
  return hooks;
}

awaitable<void> ProxyFixture::handle(Intercepted connection) {
  auto stream = std::move(connection.stream);
  std::string request;
  Bytes buffer(4096);
  for (std::size_t i = 0; i < handler_reads; ++i) {
    const auto size = co_await stream->read_some(buffer);
    if (!size) break;
    request += as_text(ByteView(buffer).first(*size));
  }
  {
    const std::lock_guard lock(mutex);
    intercepted.push_back(std::move(connection));
    requests.push_back(request);
  }
  co_await stream->write(as_bytes(kReply));
  if (handler_hangs) co_await clock_.sleep_for(std::chrono::hours(1));
}

test::BlockingSocket ProxyFixture::connect() {
  return test::BlockingSocket::connect(listener->endpoint_v4());
}

test::TlsEndpoint ProxyFixture::connect_tls(const std::string& name, std::size_t segment) {
  return {make_client_ssl(trusting.get(), name), connect(), segment};
}

test::BlockingSocket ProxyFixture::accept_at_origin() {
  pollfd entry{origin_.native_handle(), POLLIN, 0};
  if (poll(&entry, 1, 20'000) != 1) throw std::runtime_error("nobody connects to the origin");
  return test::BlockingSocket(origin_.accept().release());
}

bool ProxyFixture::origin_untouched() {
  pollfd entry{origin_.native_handle(), POLLIN, 0};
  return poll(&entry, 1, 0) == 0;
}

Intercepted ProxyFixture::last_intercepted() {
  const std::lock_guard lock(mutex);
  if (intercepted.empty()) throw std::runtime_error("nothing was intercepted");
  auto last = std::move(intercepted.back());
  intercepted.pop_back();
  return last;
}

}  // namespace hagring::proxy
