// SPDX-License-Identifier: Apache-2.0
#include "registry/forwarding.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "userspace/http/grammar.hpp"

namespace hagring::registry {
namespace {

constexpr std::array<std::string_view, 8> kOfOneConnection = {
    "Connection", "Keep-Alive",        "Proxy-Connection", "TE",
    "Trailer",    "Transfer-Encoding", "Upgrade",          "Proxy-Authorization"};

}  // namespace

http::Headers end_to_end(const http::Headers& headers) {
  std::vector<std::string_view> dropped(kOfOneConnection.begin(), kOfOneConnection.end());
  for (const auto& [name, value] : headers) {
    if (!http::equals_ignoring_case(name, "Connection")) continue;
    for (const auto element : http::list_elements(value)) dropped.push_back(element);
  }
  http::Headers kept;
  for (const auto& [name, value] : headers) {
    const auto is_name = [&](std::string_view other) {
      return http::equals_ignoring_case(name, other);
    };
    // A client could otherwise name a field that delimits the message or says whose it is.
    const bool needed = is_name("Host") || is_name("Content-Length");
    if (needed || std::ranges::none_of(dropped, is_name)) kept.add(name, value);
  }
  return kept;
}

http::Request forwarded(const http::Request& request) {
  http::Request result{.method = request.method,
                       .target = request.target,
                       .headers = end_to_end(request.headers),
                       .body = request.body};
  result.headers.erase("Expect");
  return result;
}

http::Response forwarded(const http::Response& response) {
  return {.status = response.status,
          .reason = response.reason,
          .headers = end_to_end(response.headers),
          .body = response.body};
}

}  // namespace hagring::registry
