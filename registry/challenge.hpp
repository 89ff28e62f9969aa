// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "userspace/http/message.hpp"
#include "userspace/http/url.hpp"

namespace hagring::registry {

/// One way to authenticate that a server offers (RFC 9110, section 11.6.1).
struct Challenge {
  std::string scheme;   ///< in lower case: `bearer`, `basic`
  std::string token68;  ///< instead of parameters, as `negotiate` has it
  /// Names in lower case, values without quotes and escapes.
  std::vector<std::pair<std::string, std::string>> parameters;

  /// The first parameter of that name, which is in lower case.
  std::optional<std::string_view> parameter(std::string_view name) const;
};

/// The challenges of one WWW-Authenticate field, of which there may be several: at most 16, of at
/// most 16 parameters each. As lenient as clients are: what isn't a token may do without quotes.
/// From the first malformed challenge on nothing is given.
std::vector<Challenge> parse_challenges(std::string_view field);

/// Where a client gets the token that a registry wants (distribution-spec's token authentication:
/// distribution/docs/content/spec/auth/token.md).
struct TokenService {
  http::Url realm;
  std::string service;              ///< empty: not given
  std::vector<std::string> scopes;  ///< `repository:library/nginx:pull`
};

/// What a client asks the realm's server for: the realm's target, with the service and up to 8 of
/// the scopes in its query.
std::string token_target(const TokenService& service);

/// The first Bearer challenge of a response whose realm is a URL of http or https; nullopt when it
/// has none.
std::optional<TokenService> token_service_of(const http::Response& response);

}  // namespace hagring::registry
