// SPDX-License-Identifier: Apache-2.0
// Responses as a client reads them. The second byte chooses the method that they answer.
#include "tests/fuzz/http_connection.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hagring;
  if (size < 2) return 0;
  static constexpr const char* kMethods[] = {"GET", "HEAD", "CONNECT", "POST"};
  const std::string method = kMethods[data[1] % 4];
  Bytes bytes(data, data + size);
  bytes.erase(bytes.begin() + 1);
  fuzz::feed(bytes.data(), bytes.size(), [&](http::Connection& connection) -> awaitable<void> {
    for (int i = 0; i < 100; ++i) {
      const auto response = co_await connection.read_response(method);
      if (!response) break;
      fuzz::require(response->status >= 100 && response->status <= 999);
      const bool sized =
          response->body.kind == http::BodyLength::Kind::length && !connection.body_ended();
      if (!co_await fuzz::read_body(connection, sized ? response->body.bytes : 0)) break;
    }
  });
  return 0;
}
