// SPDX-License-Identifier: Apache-2.0
#include "userspace/http/message_parser.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <limits>

#include "userspace/http/grammar.hpp"

namespace hagring::http {
namespace {

namespace beast_http = boost::beast::http;
using boost::beast::string_view;

std::string to_string(string_view text) { return {text.data(), text.size()}; }

/// Beast's parser, put to use for one message: it calls back with what it finds.
template <bool is_request>
class BeastParser final : public beast_http::basic_parser<is_request>, public ChunkParser {
 public:
  using Message = std::conditional_t<is_request, Request, Response>;

  explicit BeastParser(std::size_t max_fields) : fields_left_(max_fields) {
    this->body_limit(boost::none);                                  // bodies are streamed
    this->header_limit(std::numeric_limits<std::uint32_t>::max());  // the caller has checked
  }

  Result<void> head(std::string_view bytes) {
    error_code error;
    const auto used = this->put(boost::asio::buffer(bytes.data(), bytes.size()), error);
    if (fields_exceeded_) return Errc::too_large;
    if (error || used != bytes.size() || !this->is_header_done()) return Errc::bad_message;
    return Result<void>();
  }

  Result<Header> header(ByteView bytes) override {
    error_code error;
    const auto used = this->put(boost::asio::buffer(bytes.data(), bytes.size()), error);
    if (error == beast_http::error::need_more) return Header{};
    if (error) return Errc::bad_message;
    return Header{used, chunk_size_};
  }

  Result<void> data(ByteView bytes) override {
    error_code error;
    const auto used = this->put(boost::asio::buffer(bytes.data(), bytes.size()), error);
    if (error || used != bytes.size()) return Errc::bad_message;
    return Result<void>();
  }

  Message message;

 private:
  void on_request_impl(beast_http::verb, string_view method, string_view target, int version,
                       error_code&) override {
    if constexpr (is_request) {
      message.method = to_string(method);
      message.target = to_string(target);
      message.version_minor = static_cast<unsigned>(version % 10);
    }
  }
  void on_response_impl(int code, string_view reason, int version, error_code&) override {
    if constexpr (!is_request) {
      message.status = static_cast<unsigned>(code);
      message.reason = to_string(reason);
      message.version_minor = static_cast<unsigned>(version % 10);
    }
  }
  void on_field_impl(beast_http::field, string_view name, string_view value,
                     error_code& error) override {
    if (in_body_) return;  // a trailer
    if (fields_left_ == 0) {
      fields_exceeded_ = true;
      error = beast_http::error::header_limit;
      return;
    }
    --fields_left_;
    message.headers.add(to_string(name), to_string(value));
  }
  void on_header_impl(error_code&) override { in_body_ = true; }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(string_view body, error_code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t size, string_view, error_code&) override {
    chunk_size_ = size;
  }
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code&) override {
    return body.size();
  }
  void on_finish_impl(error_code&) override {}

  std::size_t fields_left_;
  bool fields_exceeded_ = false;
  bool in_body_ = false;
  std::uint64_t chunk_size_ = 0;
};

/// Threat: request smuggling. Beast takes an unknown Transfer-Encoding of a request for "no body",
/// and one of a response for "until the end"; whoever is in front of us may not.
bool transfer_encoding_is_plain(const Headers& headers, unsigned version_minor) {
  std::size_t seen = 0;
  for (const auto& [name, value] : headers) {
    if (!equals_ignoring_case(name, "Transfer-Encoding")) continue;
    if (++seen > 1 || version_minor == 0 || !equals_ignoring_case(trimmed(value), "chunked")) {
      return false;
    }
  }
  return true;
}

bool host_is_plain(const Request& request) {
  std::size_t seen = 0;
  for (const auto& [name, value] : request.headers) {
    if (equals_ignoring_case(name, "Host")) ++seen;
  }
  return seen == 1 || (seen == 0 && request.version_minor == 0);
}

template <typename Parser>
Result<BodyLength> announced_length(const Parser& parser) {
  if (parser.chunked()) return BodyLength{BodyLength::Kind::chunked, 0};
  const auto length = parser.content_length();
  if (!length) return BodyLength{};
  if (*length > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return Errc::bad_message;
  }
  return BodyLength{BodyLength::Kind::length, *length};
}

template <typename Parser>
auto finish(std::unique_ptr<Parser> parser, bool has_body) {
  Parsed<typename Parser::Message> parsed{std::move(parser->message), nullptr, has_body};
  if (has_body && parsed.message.body.kind == BodyLength::Kind::chunked) {
    parsed.chunks = std::move(parser);
  }
  return parsed;
}

}  // namespace

Result<Parsed<Request>> parse_request_head(std::string_view head, std::size_t max_fields) {
  auto parser = std::make_unique<BeastParser<true>>(max_fields);
  CHECK_OK(parser->head(head));
  auto& request = parser->message;
  if (!transfer_encoding_is_plain(request.headers, request.version_minor)) return Errc::bad_message;
  if (!host_is_plain(request)) return Errc::bad_message;
  TRY(request.body, announced_length(*parser));
  request.keep_alive = parser->keep_alive();
  const bool has_body = request.body.kind == BodyLength::Kind::chunked || request.body.bytes > 0;
  const auto expect = request.headers.get("Expect");
  request.expect_continue = has_body && request.version_minor >= 1 && expect &&
                            equals_ignoring_case(*expect, "100-continue");
  return finish(std::move(parser), has_body);
}

Result<Parsed<Response>> parse_response_head(std::string_view head, std::string_view method,
                                             std::size_t max_fields) {
  auto parser = std::make_unique<BeastParser<false>>(max_fields);
  if (method == "HEAD") parser->skip(true);
  CHECK_OK(parser->head(head));
  auto& response = parser->message;
  if (!transfer_encoding_is_plain(response.headers, response.version_minor)) {
    return Errc::bad_message;
  }
  const auto status = response.status;
  if (status < 100) return Errc::bad_message;
  TRY(response.body, announced_length(*parser));
  response.keep_alive = parser->keep_alive();
  // A tunnel's bytes are nobody's body (RFC 9112, section 6.3).
  const bool tunnel = status == 101 || (method == "CONNECT" && status / 100 == 2);
  if (status / 100 == 1 || status == 204 || tunnel) {
    response.body = {};
    return finish(std::move(parser), false);
  }
  if (method == "HEAD" || status == 304) return finish(std::move(parser), false);
  if (response.body.kind == BodyLength::Kind::none) {
    response.body.kind = BodyLength::Kind::until_close;
  }
  const bool has_body = response.body.kind != BodyLength::Kind::length || response.body.bytes > 0;
  return finish(std::move(parser), has_body);
}

}  // namespace hagring::http
