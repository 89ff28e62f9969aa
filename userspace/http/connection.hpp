// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "userspace/base/byte_stream.hpp"
#include "userspace/http/message.hpp"

namespace hagring::http {

/// What a peer may cost us in memory.
struct Limits {
  std::size_t head_bytes = 64 * 1024;    ///< request or status line and all fields
  std::size_t buffer_bytes = 64 * 1024;  ///< read-ahead of a connection
};

/// One HTTP/1.1 connection, as server or client, over any ByteStream, with Beast's parser and
/// serializer inside. One message at a time each way; pipelined requests wait in the stream.
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

  /// Reads the next request's head; the former one's body must have been read to its end.
  awaitable<Result<Request>> read_request();

  /// Reads the next final response's head; 1xx responses are passed over (101 is given back).
  /// `method` is that of the request it answers: HEAD has no body.
  awaitable<Result<Response>> read_response(std::string method);

  /// Reads some of the message's body, decoded from chunks; 0 when it has ended.
  awaitable<Result<std::size_t>> read_body(MutableBytes into);
  bool body_ended() const;

  /// Reads and drops the rest of the body if that is at most `max_bytes`; Errc::too_large
  /// otherwise: then the connection can't be used for another message.
  awaitable<Result<void>> skip_body(std::size_t max_bytes);

  /// Writes a head. `body` of the message says how the body will be delimited: Content-Length and
  /// Transfer-Encoding are made from it, and those among the headers are left out. For answers to
  /// HEAD (and 304) set `head_only`: Content-Length is written from `body`, no body follows.
  awaitable<Result<void>> write_request(const Request& request);
  awaitable<Result<void>> write_response(const Response& response, bool head_only = false);

  /// Writes a part of the body, in a chunk where it is chunked. More than announced, or less at
  /// finish_body(), is Errc::bad_message.
  awaitable<Result<void>> write_body(ByteView part);
  awaitable<Result<void>> finish_body();

  /// Counts `bytes` of a body that were put on the plain socket directly (sendfile, splice).
  void count_body_bytes(std::uint64_t bytes);

  /// Whether, by what both sides said (Connection, HTTP version, delimitation), another message
  /// may follow on this connection. False also after an error.
  bool reusable() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hagring::http
