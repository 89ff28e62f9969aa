// SPDX-License-Identifier: Apache-2.0
// Requests as a server reads them, pipelined and in pieces of every size.
#include "tests/fuzz/http_connection.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hagring;
  fuzz::feed(data, size, [](http::Connection& connection) -> awaitable<void> {
    for (int i = 0; i < 100; ++i) {
      const auto request = co_await connection.read_request();
      if (!request) break;
      fuzz::require(!request->method.empty() && !request->target.empty());
      for (const auto& [name, value] : request->headers) {
        fuzz::require(!name.empty() &&
                      value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
      }
      const bool sized = request->body.kind == http::BodyLength::Kind::length;
      if (!co_await fuzz::read_body(connection, sized ? request->body.bytes : 0)) break;
    }
  });
  return 0;
}
