// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/explain_page.hpp"

#include "registry/presumption.hpp"
#include "userspace/agent/explanation.hpp"
#include "userspace/http/url.hpp"

namespace hagring::agent {

namespace {

/// The content that this node has of an image, once the store has told where it is from.
awaitable<std::optional<registry::Digest>> held_content(const registry::Policy& policy,
                                                        registry::Privacy& privacy,
                                                        registry::ContentStore& store,
                                                        registry::Reference reference) {
  auto digest = reference.digest;
  if (!digest) {
    const auto target = co_await store.resolve(reference.to_string());
    if (target) digest = target->digest;
  }
  if (!digest || !co_await store.open(*digest)) co_return std::nullopt;
  (void)co_await registry::sources_of(store, policy, privacy, *digest, reference.name());
  co_return digest;
}

}  // namespace

Page explain_page(const registry::Policy& policy, registry::Privacy& privacy,
                  registry::ContentStore& store) {
  return [&policy, &privacy, &store](std::string query) -> awaitable<PageAnswer> {
    const auto text = http::query_value(query, "reference");
    const auto reference = text ? registry::Reference::parse_familiar(*text) : std::nullopt;
    if (!reference) co_return PageAnswer{400, R"({"error":"reference must be an image's name"})"};
    const auto held = co_await held_content(policy, privacy, store, *reference);
    co_return PageAnswer{200, explain(policy, *reference, &privacy, held)};
  };
}

}  // namespace hagring::agent
