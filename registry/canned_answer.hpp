// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "registry/upstream.hpp"

namespace hagring::registry {

/// An exchange whose answer is already here: `response` with `body`, as if a server had just sent
/// it to a request of `method`. Errors: Errc::bad_message for what can't be sent.
awaitable<Result<Exchange>> canned_answer(UpstreamClient& client, std::string method,
                                          http::Response response, std::string body);

}  // namespace hagring::registry
