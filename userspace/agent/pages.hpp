// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "userspace/base/asio.hpp"
#include "userspace/base/byte_stream.hpp"
#include "userspace/base/result.hpp"

namespace hagring::agent {

/// What a page answers.
struct PageAnswer {
  unsigned status = 200;
  std::string body{};
  std::string type = "application/json";  ///< Content-Type
};

/// Makes a page's answer from the query of its target.
using Page = std::function<awaitable<PageAnswer>(std::string query)>;
/// By path; what a POST does, by `POST ` and the path.
using Pages = std::map<std::string, Page, std::less<>>;

/// Answers GET, HEAD and POST of `pages` on one connection (HTTP/1.1), until either side ends it,
/// or it has been silent for 10 s. `pages` outlives the connection.
awaitable<void> serve_pages(std::unique_ptr<ByteStream> stream, const Pages& pages);

}  // namespace hagring::agent
