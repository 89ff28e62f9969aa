// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/pages.hpp"

#include "userspace/http/connection.hpp"
#include "userspace/http/url.hpp"

namespace hagring::agent {
namespace {

constexpr auto kIdle = std::chrono::seconds(10);
/// The most of a request's body that is read to keep its connection.
constexpr std::size_t kMaxUnreadBody = 4096;

awaitable<PageAnswer> answer(const Pages& pages, const http::Request& request) {
  const bool post = request.method == "POST";
  if (!post && request.method != "GET" && request.method != "HEAD") {
    co_return PageAnswer{405, R"({"error":"GET only"})"};
  }
  const auto parts = http::split_target(request.target);
  const auto path = parts ? std::string(parts->path) : "";
  const auto page = pages.find(post ? "POST " + path : path);
  if (page == pages.end()) {
    if (post && pages.contains(path)) co_return PageAnswer{405, R"({"error":"GET only"})"};
    co_return PageAnswer{404, R"({"error":"no such page"})"};
  }
  co_return co_await page->second(std::string(parts->query));
}

}  // namespace

awaitable<void> serve_pages(std::unique_ptr<ByteStream> stream, const Pages& pages) {
  stream->set_inactivity_limit(kIdle);
  http::Connection connection(std::move(stream));
  while (true) {
    const auto request = co_await connection.read_request();
    if (!request || !co_await connection.skip_body(kMaxUnreadBody)) co_return;
    auto answered = co_await answer(pages, *request);
    http::Response response;
    response.status = answered.status;
    response.headers.add("Content-Type", std::move(answered.type));
    response.keep_alive = request->keep_alive;
    response.body = {http::BodyLength::Kind::length, answered.body.size()};
    const bool head_only = request->method == "HEAD";
    if (!co_await connection.write_response(response, head_only)) co_return;
    if (!head_only && !co_await connection.write_body(as_bytes(answered.body))) co_return;
    if (!co_await connection.finish_body() || !connection.reusable()) co_return;
  }
}

}  // namespace hagring::agent
