// SPDX-License-Identifier: Apache-2.0
// WWW-Authenticate, as a registry sends it.
#include "registry/challenge.hpp"
#include "tests/fuzz/require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hagring;
  using fuzz::require;
  const std::string_view field(reinterpret_cast<const char*>(data), size);
  const auto challenges = registry::parse_challenges(field);
  require(challenges.size() <= 16);
  std::size_t kept = 0;
  for (const auto& challenge : challenges) {
    require(!challenge.scheme.empty() && challenge.parameters.size() <= 16);
    require(challenge.token68.empty() || challenge.parameters.empty());
    kept += challenge.scheme.size() + challenge.token68.size();
    for (const auto& [name, value] : challenge.parameters) {
      require(!name.empty());
      kept += name.size() + value.size();
    }
  }
  require(kept <= field.size());
  const http::Response response{.status = 401,
                                .headers = {{"WWW-Authenticate", std::string(field)}}};
  if (const auto service = registry::token_service_of(response)) {
    require(http::parse_url(service->realm.to_string()) == service->realm);
  }
  return 0;
}
