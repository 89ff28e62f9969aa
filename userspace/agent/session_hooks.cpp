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
            auto registry = policy_.registry_of(server_name, original.endpoint.port(), false);
            asio::post(control_, [this, pid = static_cast<pid_t>(original.client_pid),
                                  registry = registry.value_or(server_name),
                                  alert] { trust_.certificate_alert(pid, registry, alert); });
          },
  };
}

Result<proxy::Original> NodeAgent::original_of(int fd) const {
  TRY(auto flow, redirector_.find_flow(fd));
  return proxy::Original{
      .endpoint = flow.original, .client_pid = flow.client_tgid, .cookie = flow.socket_cookie};
}

awaitable<proxy::Decision> NodeAgent::may_terminate(MirrorWorker& worker, std::string server_name,
                                                    proxy::Original original) {
  using proxy::SpliceReason;
  const auto registry = policy_.registry_of(server_name, original.endpoint.port(), false);
  if (!registry) co_return proxy::Decision{false, SpliceReason::not_mirrored};
  if (!trust_.terminates(*registry))
    co_return proxy::Decision{false, SpliceReason::client_untrusting};
  switch (co_await worker.inspect(std::move(server_name), original.endpoint)) {
    case registry::OriginVerdict::not_verified:
    case registry::OriginVerdict::wants_client_certificate:
      co_return proxy::Decision{false, SpliceReason::origin_unverifiable};
    case registry::OriginVerdict::verified:
    case registry::OriginVerdict::unreachable:
      break;
  }
  co_return proxy::Decision{.terminate = true};
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
          .manifest_served =
              [this](std::string registry, std::string repository, registry::Digest digest,
                     std::string_view manifest) {
                return store_.manifest_served(registry + "/" + repository, std::move(digest),
                                              manifest);
              }};
}

}  // namespace hagring::agent
