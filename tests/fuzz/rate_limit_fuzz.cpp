// SPDX-License-Identifier: Apache-2.0
// What a registry says of its limits, and whose a client's credential is. The first line is
// Retry-After, RateLimit-Reset and Authorization, the second the quotas; the first byte: whether
// the status is 429.
#include "registry/credential.hpp"
#include "registry/rate_limit.hpp"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hagring;
  using namespace hagring::registry;
  using fuzz::require;
  fuzz::Input input({data, size});
  const bool refused = input.byte() % 2 == 1;
  const auto text = as_text(input.rest());
  const std::string first(text.substr(0, text.find('\n')));
  const std::string second(text.substr(std::min(first.size() + 1, text.size())));
  const WallTime now(std::chrono::seconds(1'746'136'878));
  if (const auto delay = parse_retry_after(first, now)) {
    require(*delay >= Duration(0) && *delay <= kLongestLimit);
  }
  if (const auto quota = parse_quota(second); quota && quota->window) {
    require(*quota->window >= Duration(0) && *quota->window <= std::chrono::hours(24));
  }
  const http::Response response{.status = refused ? 429U : 200U,
                                .headers = {{"Retry-After", first},
                                            {"RateLimit-Reset", first},
                                            {"RateLimit-Limit", second},
                                            {"RateLimit-Remaining", second}}};
  const auto notice = limit_notice(response, now);
  require(!refused || notice);
  if (notice) {
    require(notice->refused == refused);
    require(notice->lasts >= Duration(0) && notice->lasts <= kLongestLimit);
  }
  const auto owner = owner_of_credential(first);
  require(owner == first || owner.starts_with("token of "));
  return 0;
}
