// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/mirror_worker.hpp"

#include "registry/anonymous_inquiry.hpp"
#include "registry/presumption.hpp"
#include "userspace/base/log.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;

/// That a client was sent something is told once in so long: it may ask for it again and again, and
/// each time would wake the control thread.
constexpr Duration kOldNews = 10s;
constexpr std::size_t kMostTold = 256;

/// Peers are near: who doesn't answer soon is passed by.
registry::UpstreamClient::Options peer_options(const Config& config) {
  return {.connect = 2s, .response = 2s, .stall = config.stall_timeout};
}

registry::UpstreamClient::Options origin_options(const Config& config) {
  return {.stall = config.stall_timeout};
}

registry::MirrorOptions mirror_options(const Config& config) {
  return {.tag_patience = config.origin_timeout,
          .origin_patience = config.origin_patience,
          .offline_credentials = config.offline_credentials,
          .verify_whole = static_cast<std::size_t>(config.verify_first)};
}

}  // namespace

MirrorWorker::MirrorWorker(asio::any_io_executor executor, const MirrorShared& shared,
                           const Config& config)
    : clock_(shared.clock),
      policy_(shared.policy),
      privacy_(shared.privacy),
      client_tls_(shared.client_tls),
      mint_(shared.authorities, shared.clock),
      origins_(shared.clock, shared.origin_dialer, shared.origin_tls, origin_options(config)),
      gate_(shared.make_gate ? shared.make_gate() : nullptr),
      peers_(shared.clock, shared.dialer, nullptr, peer_options(config), gate_.get()),
      fetcher_(shared.clock, peers_, shared.router, shared.conduct, {}, &shared.privacy),
      origin_(shared.clock, origins_, shared.memory),
      check_(shared.clock, shared.origin_dialer, shared.origin_tls, {}, &shared.memory.breaker,
             &shared.verified),
      mirror_({.clock = shared.clock,
               .policy = shared.policy,
               .store = shared.store,
               .conduct = shared.conduct,
               .record = shared.record,
               .fetcher = fetcher_,
               .origin = origin_,
               .options = mirror_options(config),
               .hooks = hooks(shared.hooks),
               .sizes = &shared.sizes,
               .privacy = &shared.privacy,
               .grants = &shared.grants,
               .under_way = &shared.under_way,
               .herds = shared.herds}),
      background_(std::move(executor), "background"),
      told_(kMostTold) {}

registry::MirrorHooks MirrorWorker::hooks(registry::MirrorHooks shared) {
  shared.background = [this](std::function<awaitable<void>()> task) {
    background_.spawn(std::move(task));
  };
  if (!shared.seen) return shared;
  shared.seen = [this, tell = std::move(shared.seen)](std::string registry, std::string repository,
                                                      registry::Digest digest, std::uint64_t size) {
    if (is_news(digest)) tell(std::move(registry), std::move(repository), std::move(digest), size);
  };
  return shared;
}

bool MirrorWorker::is_news(const registry::Digest& digest) {
  const auto now = clock_.now();
  auto& last = told_.touch(digest);
  if (last != TimePoint{} && now - last < kOldNews) return false;
  last = now;
  return true;
}

void MirrorWorker::ask_as_anybody(const std::string& repository, const registry::Digest& digest,
                                  bool manifest) {
  auto question = registry::anonymous_question(policy_, repository, digest, manifest);
  if (stopped_ || !question) return privacy_.end_inquiry(repository, false);
  background_.spawn([this, question = *std::move(question), repository] {
    return registry::learn_audience(clock_, origin_, privacy_, question.to, question.request,
                                    repository, true);
  });
}

awaitable<void> MirrorWorker::stop() {
  stopped_ = true;
  background_.cancel();
  co_await background_.drain();
}

awaitable<void> MirrorWorker::serve(proxy::Intercepted connection) {
  registry::Interception about{
      .host = connection.host,
      .original = connection.original,
      .proxied_port = connection.proxied ? connection.port : std::uint16_t{0},
      .tls = connection.tls,
      .client = connection.client_pid};
  if (about.host.empty()) about.host = connection.original.address().to_string();
  return mirror_.serve(std::move(connection.stream), std::move(about));
}

SslHandle MirrorWorker::make_server_ssl(const std::string& name) {
  auto ssl = hagring::make_server_ssl(client_tls_);
  if (const auto put = mint_.put_on(ssl.get(), name); !put) {
    log::warning("proxy", "no certificate for {}: {}", name, put.error().message());
    return nullptr;
  }
  return ssl;
}

awaitable<void> MirrorWorker::sweep() {
  while (true) {
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
    origins_.sweep();
    peers_.sweep();
    co_await clock_.sleep_for(5s);
  }
}

}  // namespace hagring::agent
