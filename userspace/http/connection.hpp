// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "userspace/base/byte_stream.hpp"
#include "userspace/http/message.hpp"

namespace hagring::http {

/// What a peer may cost us in memory.
struct Limits {
  std::size_t head_bytes = 64 * 1024;    ///< request or status line and all fields
  std::size_t fields = 128;              ///< header fields of a message
  std::size_t buffer_bytes = 64 * 1024;  ///< read-ahead of a connection
};

/// One HTTP/1.1 connection, as server or client, over any ByteStream, with Beast's parser inside.
/// One message at a time each way; pipelined requests wait in the stream. Reading and writing may
/// go on at the same time, each in one coroutine. What parsers are known to read in different ways
/// is refused (RFC 9112, section 11.2): conflicting or repeated lengths, codings other than
/// `chunked`, folded lines, bare CR or LF, a request with no or several Host fields.
/// Errors of all reads: Errc::end_of_stream (an orderly end between messages), Errc::bad_message
/// (not HTTP, or the body ends early), Errc::too_large (limits), and the stream's own.
/// Field values and targets written by us are checked: CR, LF and NUL give Errc::bad_message.
class Connection {
 public:
  explicit Connection(std::unique_ptr<ByteStream> stream, Limits limits = {});
  /// `read_ahead` are bytes that were read from the stream before.
  Connection(std::unique_ptr<ByteStream> stream, ByteView read_ahead, Limits limits = {});
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  ByteStream& stream();
  /// Gives the stream up, for a protocol that follows (CONNECT, 101). Take the read-ahead first.
  std::unique_ptr<ByteStream> release_stream();
  /// Takes the bytes that were read from the stream beyond the last message.
  Bytes take_read_ahead();

  /// Reads the next request's head; the former one's body must have been read to its end. After an
  /// error an answer may still be written, and then the connection must end.
  /// A head that trickles in is the caller's to limit (with_deadline).
  awaitable<Result<Request>> read_request();

  /// Reads the next final response's head; 1xx responses are passed over (101 is given back).
  /// `method` is that of the request it answers: to HEAD there is no body, and the response's
  /// `body` says what its head announces.
  awaitable<Result<Response>> read_response(std::string method);

  /// Reads some of the message's body, decoded from chunks; 0 when it has ended. A client that
  /// waits for `100 Continue` is told so at the first call, unless it has been answered before.
  awaitable<Result<std::size_t>> read_body(MutableBytes into);
  bool body_ended() const;

  /// Reads and drops the rest of the body if that is at most `max_bytes`; Errc::too_large
  /// otherwise: then the connection can't be used for another message. Errc::too_large too for a
  /// body that the client holds back and, being answered, may never send.
  awaitable<Result<void>> skip_body(std::size_t max_bytes);

  /// Writes a head. `body` of the message says how the body will be delimited: Content-Length and
  /// Transfer-Encoding are made from it, and those among the headers are left out. For answers to
  /// HEAD (and 304) set `head_only`: Content-Length is written from `body`, no body follows. That
  /// is done unasked where the request read last was HEAD, as is `Connection: close` for a client
  /// that asked for it. To a client of HTTP/1.0 a chunked body is sent until the end of the
  /// connection. An interim response (1xx but 101) may precede the final one.
  awaitable<Result<void>> write_request(const Request& request);
  awaitable<Result<void>> write_response(const Response& response, bool head_only = false);

  /// Writes a whole response with `body`, its length set, in one go.
  awaitable<Result<void>> write_response_with(Response response, std::string body);

  /// From now on requests are written as for a proxy (RFC 9112, section 3.2.2): to absolute URLs of
  /// `host` at `port` without TLS, with `authorization`, unless that is empty, as
  /// Proxy-Authorization.
  void ask_proxy(std::string host, std::uint16_t port, std::string authorization);

  /// Writes a part of the body, in a chunk where it is chunked. More than announced, or less at
  /// finish_body(), is Errc::bad_message.
  awaitable<Result<void>> write_body(ByteView part);
  awaitable<Result<void>> finish_body();

  /// Counts `bytes` of a body that were put on the plain socket directly (sendfile, splice).
  void count_body_bytes(std::uint64_t bytes);

  /// Whether, by what both sides said (Connection, HTTP version, delimitation), another message
  /// may follow on this connection. False also after an error, and for a client that has received
  /// bytes nobody asked for.
  bool reusable() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hagring::http
