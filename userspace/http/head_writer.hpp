// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "userspace/base/result.hpp"
#include "userspace/http/message.hpp"

namespace hagring::http {

/// A request's head as it goes on the wire. Framing fields and Connection's `close` and
/// `keep-alive` are made from `request`; those among its headers are left out.
/// Errors: Errc::bad_message for a method, target, name or value that would break the message.
Result<std::string> request_head(const Request& request);

/// The same for a response. `head_only`: it answers HEAD, or is a 304. `to_old_client`: keep-alive
/// has to be said to a client that speaks HTTP/1.0.
Result<std::string> response_head(const Response& response, bool head_only, bool to_old_client);

}  // namespace hagring::http
