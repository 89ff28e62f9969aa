// SPDX-License-Identifier: Apache-2.0
#include "userspace/http/connection.hpp"

#include <algorithm>

#include "userspace/http/body_reader.hpp"
#include "userspace/http/body_writer.hpp"
#include "userspace/http/head_scanner.hpp"
#include "userspace/http/head_writer.hpp"
#include "userspace/http/message_parser.hpp"
#include "userspace/http/read_buffer.hpp"
#include "userspace/http/url.hpp"

namespace hagring::http {
namespace {

/// How many interim responses may precede a final one.
constexpr int kMaxInterimResponses = 8;
/// Empty lines before a request line that are passed over (RFC 9112, section 2.2).
constexpr unsigned kEmptyLines = 2;

}  // namespace

struct Connection::State {
  State(std::unique_ptr<ByteStream> connected, Limits given)
      : stream(std::move(connected)),
        limits(given),
        buffer(std::max(given.head_bytes, given.buffer_bytes)) {}

  awaitable<Result<std::string>> read_head(unsigned empty_lines);
  awaitable<Result<Response>> read_one_response(const std::string& method);
  awaitable<Result<void>> say_continue();
  awaitable<Result<void>> write_head(std::string head);
  Result<std::string> answer(const Response& response, bool head_only);
  Result<std::string> head_for_proxy(Request request);

  /// Remembers that after `error` nothing more can be read; gives it back. An answer may still be
  /// written: what was wrong with the request.
  error_code unreadable(error_code error) {
    read_failed = true;
    they_keep_alive = false;
    return error;
  }
  /// Remembers that after `error` nothing more can be written; gives it back.
  error_code unwritable(error_code error) {
    write_failed = true;
    return error;
  }

  std::unique_ptr<ByteStream> stream;
  Limits limits;
  ReadBuffer buffer;
  BodyReader incoming;
  BodyWriter outgoing;
  bool read_failed = false;
  bool write_failed = false;
  bool is_client = false;
  bool they_keep_alive = true;
  bool we_keep_alive = true;
  // Of the request that is being answered:
  bool answers_head = false;
  bool client_is_old = false;
  bool client_waits = false;  ///< for 100 Continue
  bool answered = true;
  std::optional<Url> asked_by_proxy;  ///< the server that a proxy is asked for
  std::string proxy_authorization;
};

Connection::Connection(std::unique_ptr<ByteStream> stream, Limits limits)
    : state_(std::make_unique<State>(std::move(stream), limits)) {}

Connection::Connection(std::unique_ptr<ByteStream> stream, ByteView read_ahead, Limits limits)
    : Connection(std::move(stream), limits) {
  state_->buffer.append(read_ahead);
}

Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

ByteStream& Connection::stream() { return *state_->stream; }

std::unique_ptr<ByteStream> Connection::release_stream() {
  state_->read_failed = state_->write_failed = true;
  return std::move(state_->stream);
}

Bytes Connection::take_read_ahead() {
  const auto data = state_->buffer.data();
  Bytes bytes(data.begin(), data.end());
  state_->buffer.consume(bytes.size());
  return bytes;
}

/// Reads up to the end of a head and takes it out of the buffer.
awaitable<Result<std::string>> Connection::State::read_head(unsigned empty_lines) {
  HeadScanner scanner(empty_lines);
  while (true) {
    const auto bytes = as_text(buffer.data());
    const auto visible = bytes.substr(0, limits.head_bytes);
    CO_TRY(const auto length, scanner.scan(visible));
    if (length) {
      std::string head(visible.substr(scanner.start(), *length - scanner.start()));
      buffer.consume(*length);
      co_return head;
    }
    if (visible.size() == limits.head_bytes) co_return Errc::too_large;
    const bool between_messages = scanner.start() == bytes.size();
    const auto filled = co_await buffer.fill(*stream);
    if (filled) continue;
    if (filled.error() == Errc::end_of_stream && !between_messages) co_return Errc::bad_message;
    co_return filled.error();
  }
}

awaitable<Result<Request>> Connection::read_request() {
  auto& state = *state_;
  state.answers_head = state.client_is_old = state.client_waits = state.answered = false;
  if (state.read_failed || !state.incoming.ended()) co_return state.unreadable(Errc::bad_message);
  const auto head = co_await state.read_head(kEmptyLines);
  if (!head) co_return state.unreadable(head.error());
  auto parsed = parse_request_head(*head, state.limits.fields);
  if (!parsed) co_return state.unreadable(parsed.error());
  auto& request = parsed->message;
  if (parsed->has_body) state.incoming = BodyReader(request.body, std::move(parsed->chunks));
  state.they_keep_alive = request.keep_alive;
  state.answers_head = request.method == "HEAD";
  state.client_is_old = request.version_minor == 0;
  state.client_waits = request.expect_continue;
  co_return std::move(request);
}

awaitable<Result<Response>> Connection::read_response(std::string method) {
  auto& state = *state_;
  state.is_client = true;
  if (state.read_failed || !state.incoming.ended()) co_return state.unreadable(Errc::bad_message);
  for (int i = 0; i <= kMaxInterimResponses; ++i) {
    auto response = co_await state.read_one_response(method);
    if (!response) co_return state.unreadable(response.error());
    if (response->status / 100 != 1 || response->status == 101) co_return response;
  }
  co_return state.unreadable(Errc::bad_message);
}

awaitable<Result<Response>> Connection::State::read_one_response(const std::string& method) {
  CO_TRY(const auto head, co_await read_head(0));
  CO_TRY(auto parsed, parse_response_head(head, method, limits.fields));
  auto& response = parsed.message;
  if (parsed.has_body) incoming = BodyReader(response.body, std::move(parsed.chunks));
  // After a switch of protocols no message of ours follows.
  they_keep_alive = response.keep_alive && response.status != 101;
  co_return std::move(response);
}

awaitable<Result<std::size_t>> Connection::read_body(MutableBytes into) {
  auto& state = *state_;
  if (state.read_failed) co_return Errc::bad_message;
  if (state.client_waits && !state.answered) {
    const auto said = co_await state.say_continue();
    if (!said) co_return state.unreadable(said.error());
  }
  const auto size = co_await state.incoming.read(state.buffer, *state.stream, into);
  if (!size) co_return state.unreadable(size.error());
  co_return size;
}

awaitable<Result<void>> Connection::State::say_continue() {
  client_waits = false;
  if (!buffer.empty()) co_return Result<void>();  // it didn't wait
  co_return co_await stream->write(as_bytes("HTTP/1.1 100 Continue\r\n\r\n"));
}

bool Connection::body_ended() const { return state_->incoming.ended(); }

awaitable<Result<void>> Connection::skip_body(std::size_t max_bytes) {
  constexpr std::size_t kPiece = 16 * 1024;
  auto& state = *state_;
  if (state.incoming.ended()) co_return Result<void>();
  const bool held_back = state.client_waits && state.answered && state.buffer.empty();
  if (held_back || state.incoming.surely_longer_than(max_bytes)) {
    co_return state.unreadable(Errc::too_large);
  }
  Bytes dropped(std::min(kPiece, max_bytes + 1));
  std::size_t total = 0;
  while (true) {
    CO_TRY(const auto size, co_await read_body(dropped));
    if (size == 0) co_return Result<void>();
    total += size;
    if (total > max_bytes) co_return state.unreadable(Errc::too_large);
  }
}

awaitable<Result<void>> Connection::State::write_head(std::string head) {
  const auto written = co_await stream->write(as_bytes(head));
  if (!written) co_return unwritable(written.error());
  co_return Result<void>();
}

void Connection::ask_proxy(std::string host, std::uint16_t port, std::string authorization) {
  state_->asked_by_proxy =
      Url{.scheme = "http", .host = std::move(host), .port = port, .target = {}};
  state_->proxy_authorization = std::move(authorization);
}

Result<std::string> Connection::State::head_for_proxy(Request request) {
  auto url = *asked_by_proxy;
  url.target = std::move(request.target);
  request.target = url.to_string();
  if (!proxy_authorization.empty()) {
    request.headers.set("Proxy-Authorization", proxy_authorization);
  }
  return request_head(request);
}

awaitable<Result<void>> Connection::write_request(const Request& request) {
  auto& state = *state_;
  state.is_client = true;
  if (state.write_failed || !state.outgoing.finished())
    co_return state.unwritable(Errc::bad_message);
  auto head = state.asked_by_proxy ? state.head_for_proxy(request) : request_head(request);
  if (!head) co_return head.error();
  state.we_keep_alive = request.keep_alive;
  state.outgoing = BodyWriter(request.body);
  co_return co_await state.write_head(std::move(*head));
}

/// The head of a final response, with the state set for the body that follows.
Result<std::string> Connection::State::answer(const Response& response, bool head_only) {
  Response adapted = response;
  head_only = head_only || answers_head || response.status == 304;
  if (adapted.status == 204 || adapted.status == 101) adapted.body = {};
  if (client_is_old && adapted.body.kind == BodyLength::Kind::chunked) {
    adapted.body.kind = BodyLength::Kind::until_close;
  }
  const bool ends_by_closing = adapted.body.kind == BodyLength::Kind::until_close && !head_only;
  adapted.keep_alive = response.keep_alive && they_keep_alive && !ends_by_closing;
  TRY(auto head, response_head(adapted, head_only, client_is_old));
  we_keep_alive = adapted.keep_alive && adapted.status != 101;
  outgoing = head_only ? BodyWriter() : BodyWriter(adapted.body);
  answered = true;
  return head;
}

awaitable<Result<void>> Connection::write_response(const Response& response, bool head_only) {
  auto& state = *state_;
  if (state.write_failed || !state.outgoing.finished())
    co_return state.unwritable(Errc::bad_message);
  const bool interim = response.status / 100 == 1 && response.status != 101;
  if (interim && state.client_is_old) co_return Result<void>();  // it knows of none
  if (interim) state.client_waits = state.client_waits && response.status != 100;
  auto head = interim ? response_head(response, true, false) : state.answer(response, head_only);
  if (!head) co_return head.error();
  co_return co_await state.write_head(std::move(*head));
}

awaitable<Result<void>> Connection::write_response_with(Response response, std::string body) {
  auto& state = *state_;
  if (state.write_failed || !state.outgoing.finished())
    co_return state.unwritable(Errc::bad_message);
  response.body = {BodyLength::Kind::length, body.size()};
  auto message = state.answer(response, false);
  if (!message) co_return message.error();
  if (!state.outgoing.finished()) {
    *message += body;
    CO_CHECK(state.outgoing.count(body.size()));
  }
  co_return co_await state.write_head(std::move(*message));
}

awaitable<Result<void>> Connection::write_body(ByteView part) {
  auto& state = *state_;
  if (state.write_failed) co_return Errc::bad_message;
  const auto written = co_await state.outgoing.write(*state.stream, part);
  if (!written) co_return state.unwritable(written.error());
  co_return Result<void>();
}

awaitable<Result<void>> Connection::finish_body() {
  auto& state = *state_;
  if (state.write_failed) co_return Errc::bad_message;
  const auto finished = co_await state.outgoing.finish(*state.stream);
  if (!finished) co_return state.unwritable(finished.error());
  co_return Result<void>();
}

void Connection::count_body_bytes(std::uint64_t bytes) {
  if (!state_->outgoing.count(bytes)) state_->write_failed = true;
}

bool Connection::reusable() const {
  const auto& state = *state_;
  const bool unasked = state.is_client && !state.buffer.empty();
  return !state.read_failed && !state.write_failed && state.they_keep_alive &&
         state.we_keep_alive && !unasked && state.incoming.ended() && state.outgoing.finished();
}

}  // namespace hagring::http
