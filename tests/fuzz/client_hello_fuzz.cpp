// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "userspace/proxy/client_hello.hpp"

using hagring::ByteView;
using hagring::proxy::ClientHelloReader;
using hagring::proxy::HelloProgress;

/// What the reader says must not depend on where the bytes were cut, nothing may be lost, and a
/// server name that comes out must be one.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  (void)hagring::proxy::http_request_prefix(input);

  ClientHelloReader whole, cut, bytewise;
  const auto progress = whole.feed(input);
  const auto at = size == 0 ? 0 : data[size - 1] * size / 256;
  cut.feed(input.first(at));
  if (cut.feed(input.subspan(at)) != progress) std::abort();
  if (size < 4096) {
    for (const auto& byte : input) bytewise.feed(ByteView(&byte, 1));
    if (bytewise.progress() != progress) std::abort();
  }
  if (whole.bytes().size() != size) std::abort();
  if (progress == HelloProgress::hello) {
    const auto& hello = whole.hello();
    if (!hello.server_name.empty() && !hagring::proxy::is_host_name(hello.server_name)) {
      std::abort();
    }
    if (hello.server_name != cut.hello().server_name || hello.alpn != cut.hello().alpn) {
      std::abort();
    }
  }
  return 0;
}
