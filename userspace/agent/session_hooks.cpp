// SPDX-License-Identifier: Apache-2.0
// What sessions and mirrors ask of the agent, on the data threads.
#include <boost/asio/post.hpp>

#include "userspace/agent/node_agent.hpp"
#include "userspace/base/log.hpp"

namespace hagring::agent {

proxy::SessionHooks NodeAgent::session_hooks(MirrorWorker& worker) {
  return {
      .original = [this](int fd) { return original_of(fd); },
      .may_terminate =
          [this, &worker](std::string server_name, proxy::Original original) {
            return may_terminate(worker, std::move(server_name), original);
          },
      .is_plain_registry =
          [this](const proxy::Original& original) { return is_plain_registry(original); },
      .proxy_at = [this](const Endpoint& endpoint) { return egress_.proxy_at(endpoint); },
      .mirrors_plain =
          [this](const std::string& host, std::uint16_t port) {
            return policy_.registry_of(host, port, true) && goes_by_proxy(false, host, port);
          },
      .make_server_ssl =
          [&worker](const std::string& name) { return worker.make_server_ssl(name); },
      .handle =
          [&worker](proxy::Intercepted connection) { return worker.serve(std::move(connection)); },
      .probed =
          [](const proxy::Original& original, bool trusted, const std::string& why) {
            if (!trusted) {
              log::info("trust", "pid {} refused the probe's certificate: {}", original.client_pid,
                        why);
            }
          },
      .refused =
          [this](const proxy::Original& original, const std::string& server_name, int alert) {
            log::warning("trust", "pid {} refused our certificate for {} with TLS alert {}",
                         original.client_pid, server_name, alert);
            auto registry = policy_.registry_of(server_name, original.port(), false);
            asio::post(control_, [this, pid = static_cast<pid_t>(original.client_pid),
                                  registry = registry.value_or(server_name),
                                  alert] { trust_.certificate_alert(pid, registry, alert); });
          },
      .relayed = [this](const proxy::Original& original, const std::string& server_name,
                        proxy::RelayNews news,
                        const std::string& why) { relayed(original, server_name, news, why); },
  };
}

/// Token services aren't mirrored: what becomes of connections to them is all that we see of them.
void NodeAgent::relayed(const proxy::Original& original, const std::string& server_name,
                        proxy::RelayNews news, const std::string& why) {
  const registry::OriginServer server{.host = server_name, .port = original.endpoint.port()};
  switch (news) {
    case proxy::RelayNews::unreachable:
      return breaker_.failed(server, registry::Trouble::unreachable, why, original.endpoint);
    case proxy::RelayNews::answered:
      return breaker_.reached(server);
    case proxy::RelayNews::silent:
      return breaker_.suspect(server, original.endpoint);
  }
}

Result<proxy::Original> NodeAgent::original_of(int fd) const {
  TRY(auto flow, redirector_.find_flow(fd));
  return proxy::Original{
      .endpoint = flow.original, .client_pid = flow.client_tgid, .cookie = flow.socket_cookie};
}

awaitable<proxy::Decision> NodeAgent::may_terminate(MirrorWorker& worker, std::string server_name,
                                                    proxy::Original original) {
  using proxy::SpliceReason;
  const bool understood =
      !original.through_proxy() || goes_by_proxy(true, server_name, original.port());
  const auto registry = policy_.registry_of(server_name, original.port(), false);
  if (!understood || !registry) {
    co_return proxy::Decision{false, SpliceReason::not_mirrored};
  }
  if (!trust_.terminates(*registry)) {
    co_return proxy::Decision{false, SpliceReason::client_untrusting};
  }
  Destination origin{.preferred = {}, .host = std::move(server_name), .port = original.port()};
  if (!original.through_proxy()) origin.preferred = original.endpoint;
  switch (co_await worker.inspect(std::move(origin))) {
    case registry::OriginVerdict::refused_by_proxy:
      co_return proxy::Decision{false, SpliceReason::proxy_refuses};
    case registry::OriginVerdict::not_verified:
    case registry::OriginVerdict::wants_client_certificate:
      co_return proxy::Decision{false, SpliceReason::origin_unverifiable};
    case registry::OriginVerdict::undecided:
      co_return proxy::Decision{false, SpliceReason::undecided};
    case registry::OriginVerdict::verified:
    case registry::OriginVerdict::unreachable:
      break;
  }
  co_return proxy::Decision{.terminate = true};
}

/// What a client asks a proxy for although its environment says otherwise isn't ours to answer: our
/// own requests would go another way.
bool NodeAgent::goes_by_proxy(bool tls, const std::string& host, std::uint16_t port) const {
  const auto proxy = egress_.proxy_for(tls, host, port);
  return proxy && proxy->supported();
}

/// A connection that we could only splice would go nowhere: then the server's own word is better.
bool NodeAgent::may_answer_name(const std::string& name) const {
  const auto& hosts = policy_.hosts();
  return std::any_of(hosts.begin(), hosts.end(), [&](const registry::MirroredHost& host) {
    const auto registry = policy_.registry_of(name, host.port, host.plain);
    return registry && (host.plain || trust_.terminates(*registry));
  });
}

bool NodeAgent::is_plain_registry(const proxy::Original& original) const {
  const auto& hosts = policy_.hosts();
  return std::any_of(hosts.begin(), hosts.end(), [&](const registry::MirroredHost& host) {
    return host.plain && host.port == original.endpoint.port();
  });
}

registry::MirrorHooks NodeAgent::mirror_hooks() {
  return {.probed =
              [this](std::string nonce, std::uint32_t client) {
                asio::post(control_, [this, nonce = std::move(nonce), client] {
                  trust_.probe_seen(static_cast<pid_t>(client), nonce);
                });
              },
          .not_verified =
              [this](std::string host, std::uint16_t port) {
                for (std::size_t i = 0; i < workers_.size(); ++i) {
                  asio::post(threads_.at(i),
                             [this, i, host, port] { workers_[i]->forget(host, port); });
                }
              },
          .seen =
              [this](std::string, std::string, registry::Digest digest, std::uint64_t) {
                asio::post(control_, [this, key = digest.to_string()]() mutable {
                  advertiser_.notify({.added = {std::move(key)}, .removed = {}});
                });
              },
          .answered = [this](const registry::Pull& pull) { metrics_.answered(pull); },
          .manifest_served =
              [this](std::string registry, std::string repository, registry::Digest digest,
                     std::string_view manifest) {
                return store_.manifest_served(registry + "/" + repository, std::move(digest),
                                              manifest);
              }};
}

}  // namespace hagring::agent
