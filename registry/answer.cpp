// SPDX-License-Identifier: Apache-2.0
#include "registry/answer.hpp"

#include <algorithm>

#include "registry/file_body.hpp"
#include "registry/forwarding.hpp"
#include "registry/manifest.hpp"
#include "registry/oci_error.hpp"
#include "registry/range.hpp"

namespace hagring::registry {
namespace {

constexpr std::size_t kPiece = 128UL * 1024;

std::string content_of(const http::Response& response) {
  return std::string(response.headers.get("Docker-Content-Digest").value_or(""));
}

}  // namespace

void Answer::note_head(unsigned status, std::string content) {
  pull_.status = status;
  pull_.content = std::move(content);
  pull_.first_byte = clock_.now() - pull_.begin;
}

void Answer::show_begun(const http::Response& response) {
  if (!under_way_) return;
  const auto field = response.headers.get("Content-Range");
  const auto range = field ? ContentRange::parse(*field) : std::nullopt;
  const bool known = response.body.kind == http::BodyLength::Kind::length;
  under_way_->begun(range ? range->first : 0,
                    known ? std::optional(response.body.bytes) : std::nullopt);
}

void Answer::note_sent(std::uint64_t bytes) {
  pull_.bytes += bytes;
  if (under_way_) under_way_->update();
}

awaitable<Result<void>> Answer::head(http::Response response) {
  CO_CHECK(co_await client_.write_response(response));
  note_head(response.status, content_of(response));
  show_begun(response);
  co_return Result<void>();
}

awaitable<Result<void>> Answer::body(ByteView part) {
  CO_CHECK(co_await client_.write_body(part));
  note_sent(part.size());
  co_return Result<void>();
}

awaitable<Result<void>> Answer::finish() {
  CO_CHECK(co_await client_.finish_body());
  pull_.complete = true;
  co_return Result<void>();
}

awaitable<Result<void>> Answer::whole(http::Response response, std::string body) {
  const auto status = response.status;
  auto content = content_of(response);
  const auto size = pull_.method == "HEAD" ? 0 : body.size();
  CO_CHECK(co_await client_.write_response_with(std::move(response), std::move(body)));
  note_head(status, std::move(content));
  pull_.bytes += size;
  pull_.complete = true;
  co_return Result<void>();
}

awaitable<Result<void>> Answer::refuse(unsigned status, std::string code, std::string message,
                                       http::Headers more) {
  pull_.note = message;
  http::Response response{.status = status,
                          .headers = {{"Content-Type", "application/json"},
                                      {"Docker-Distribution-Api-Version", "registry/2.0"}}};
  for (const auto& [name, value] : more) response.headers.add(name, value);
  co_return co_await whole(std::move(response), oci_error(code, message));
}

awaitable<Result<void>> Answer::relay(Exchange& exchange, std::string* copy,
                                      std::function<awaitable<void>()> before_end) {
  auto response = forwarded(exchange.response);
  if (response.body.kind == http::BodyLength::Kind::until_close) {
    response.body.kind = http::BodyLength::Kind::chunked;
  }
  const bool known = response.body.kind == http::BodyLength::Kind::length;
  const auto most = known ? std::min<std::uint64_t>(kPiece, response.body.bytes) : kPiece;
  CO_CHECK(co_await head(std::move(response)));
  auto& connection = exchange.connection();
  Bytes buffer(connection.body_ended() ? 0 : most);
  while (!connection.body_ended()) {
    const auto size = co_await connection.read_body(buffer);
    if (!size) {
      pull_.note = "the origin broke off: " + size.error().message();
      co_return size.error();
    }
    if (*size == 0) break;
    const auto part = ByteView(buffer).first(*size);
    if (copy != nullptr && copy->size() + part.size() <= kMaxManifestBytes) {
      copy->append(as_text(part));
    }
    if (before_end && connection.body_ended()) {
      co_await before_end();
      before_end = {};
    }
    CO_CHECK(co_await body(part));
  }
  if (before_end) co_await before_end();
  co_return co_await finish();
}

awaitable<Result<void>> Answer::file(http::Response response, OpenBlob blob, std::uint64_t first,
                                     std::uint64_t length) {
  response.body = {http::BodyLength::Kind::length, length};
  CO_CHECK(co_await head(std::move(response)));
  if (pull_.method == "HEAD") co_return co_await finish();
  const BytesSent sent = [this](std::uint64_t bytes) { note_sent(bytes); };
  CO_CHECK(co_await send_file(client_, blob.file.get(), first, length, sent));
  pull_.complete = true;
  co_return Result<void>();
}

}  // namespace hagring::registry
