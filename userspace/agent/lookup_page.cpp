// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/lookup_page.hpp"

#include <nlohmann/json.hpp>

#include "registry/digest.hpp"
#include "registry/reference.hpp"
#include "userspace/http/url.hpp"

namespace hagring::agent {
namespace {

using Json = nlohmann::ordered_json;

double milliseconds(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

bool is_key(const std::string& text) {
  if (registry::Digest::parse(text)) return true;
  const auto reference = registry::Reference::parse(text);
  return reference && reference->tag && !reference->digest;
}

Json describe(const dht::Provider& provider, Duration after) {
  auto addresses = Json::array();
  for (const auto& address : provider.addresses) addresses.push_back(address.to_string());
  return {{"peer_id", provider.peer.to_string()},
          {"addresses", std::move(addresses)},
          {"milliseconds", milliseconds(after)}};
}

awaitable<PageAnswer> look_up(Clock& clock, dht::Node& node, std::string query) {
  const auto key = http::query_value(query, "key");
  if (!key || !is_key(*key)) {
    co_return PageAnswer{400, R"({"error":"key must be a digest or registry/repository:tag"})"};
  }
  auto providers = Json::array();
  const auto began = clock.now();
  const auto result = co_await node.find_providers(*key, [&](const dht::Provider& provider) {
    providers.push_back(describe(provider, clock.now() - began));
    return true;
  });
  const Json answer{{"key", *key},
                    {"own", node.provides(*key)},
                    {"providers", std::move(providers)},
                    {"rounds", result.rounds},
                    {"messages", result.messages},
                    {"failures", result.failures},
                    {"complete", result.complete},
                    {"milliseconds", milliseconds(clock.now() - began)}};
  co_return PageAnswer{200, answer.dump(2)};
}

}  // namespace

Page lookup_page(Clock& clock, dht::Node& node) {
  return [&clock, &node](std::string query) { return look_up(clock, node, std::move(query)); };
}

}  // namespace hagring::agent
