// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/http/message.hpp"

namespace hagring::registry {

/// `headers` without the fields that concern one connection only (RFC 9110, section 7.6.1), those
/// that its Connection field names included.
http::Headers end_to_end(const http::Headers& headers);

/// A client's request as it goes on to the origin: method, target, body's length and fields as they
/// are, but for those of the connection. An expectation of `100-continue` is met on each connection
/// by itself.
http::Request forwarded(const http::Request& request);

/// A server's response as it goes on to the client.
http::Response forwarded(const http::Response& response);

}  // namespace hagring::registry
