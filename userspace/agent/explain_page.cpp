// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/explain_page.hpp"

#include "userspace/agent/explanation.hpp"
#include "userspace/http/url.hpp"

namespace hagring::agent {

Page explain_page(const registry::Policy& policy, registry::Privacy& privacy) {
  return [&policy, &privacy](std::string query) -> awaitable<PageAnswer> {
    const auto text = http::query_value(query, "reference");
    const auto reference = text ? registry::Reference::parse_familiar(*text) : std::nullopt;
    if (!reference) co_return PageAnswer{400, R"({"error":"reference must be an image's name"})"};
    co_return PageAnswer{200, explain(policy, *reference, &privacy)};
  };
}

}  // namespace hagring::agent
