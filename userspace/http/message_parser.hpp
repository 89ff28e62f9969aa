// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "userspace/base/bytes.hpp"
#include "userspace/base/result.hpp"
#include "userspace/http/message.hpp"

namespace hagring::http {

/// The framing of a chunked body (RFC 9112, section 7.1).
class ChunkParser {
 public:
  struct Header {
    std::size_t consumed = 0;  ///< bytes of framing; 0: more bytes are needed
    std::uint64_t size = 0;    ///< of the chunk that follows; 0: the body has ended
  };

  virtual ~ChunkParser() = default;

  /// Reads a chunk's header, or the last one together with the trailers, which are dropped.
  /// `bytes` begins where the former chunk's data ended. Errors: Errc::bad_message.
  virtual Result<Header> header(ByteView bytes) = 0;

  /// Tells of data of the chunk; not more than its header said.
  virtual Result<void> data(ByteView bytes) = 0;
};

template <typename Message>
struct Parsed {
  Message message;
  std::unique_ptr<ChunkParser> chunks;  ///< set when a chunked body follows
  bool has_body = false;                ///< whether bytes of a body follow, as message.body says
};

/// Parses `head`, a whole one from the start line to the empty line, with Beast. On top of Beast's
/// own checks, refused are: a Transfer-Encoding other than `chunked` alone, or in HTTP/1.0; a
/// Content-Length above 2^63 - 1; a request with no or several Host fields (RFC 9112, sections 3.2
/// and 6.1), and more fields than `max_fields` (Errc::too_large).
/// Errors else: Errc::bad_message.
Result<Parsed<Request>> parse_request_head(std::string_view head, std::size_t max_fields);

/// The same for a response to `method`. To HEAD, message.body says what the head announces.
Result<Parsed<Response>> parse_response_head(std::string_view head, std::string_view method,
                                             std::size_t max_fields);

}  // namespace hagring::http
