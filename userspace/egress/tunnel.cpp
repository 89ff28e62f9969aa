// SPDX-License-Identifier: Apache-2.0
#include "userspace/egress/tunnel.hpp"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>

#include "userspace/http/head_scanner.hpp"
#include "userspace/http/message_parser.hpp"

namespace hagring::egress {
namespace {

/// Of a proxy's answer. Squid's error pages come behind it, as the body.
constexpr std::size_t kMaxHead = 16 * 1024;
constexpr std::size_t kMaxFields = 64;

awaitable<Result<http::Response>> read_answer(asio::ip::tcp::socket& socket) {
  http::HeadScanner scanner(0);
  std::string answer;
  std::array<char, 2048> buffer;
  while (answer.size() < kMaxHead) {
    const auto [error, size] = co_await socket.async_read_some(asio::buffer(buffer), kTuple);
    if (error == asio::error::eof) co_return hagring::Errc::end_of_stream;
    if (error) co_return error;
    answer.append(buffer.data(), size);
    CO_TRY(const auto length, scanner.scan(answer));
    if (!length) continue;
    const auto head = std::string_view(answer).substr(0, *length);
    CO_TRY(auto parsed, http::parse_response_head(head, "CONNECT", kMaxFields));
    const bool tunnel = parsed.message.status / 100 == 2;
    if (tunnel && *length != answer.size()) co_return hagring::Errc::bad_message;
    co_return std::move(parsed.message);
  }
  co_return hagring::Errc::too_large;
}

}  // namespace

std::string tunnel_request(std::string_view host, std::uint16_t port,
                           std::string_view authorization) {
  const bool brackets = host.find(':') != std::string_view::npos;
  std::string server(brackets ? "[" : "");
  server += host;
  server += (brackets ? "]:" : ":") + std::to_string(port);
  std::string request = "CONNECT " + server + " HTTP/1.1\r\nHost: " + server + "\r\n";
  if (!authorization.empty()) {
    request += "Proxy-Authorization: ";
    request += authorization;
    request += "\r\n";
  }
  return request + "\r\n";
}

awaitable<Result<void>> open_tunnel(asio::ip::tcp::socket& socket, std::string request) {
  const auto [error, size] = co_await asio::async_write(socket, asio::buffer(request), kTuple);
  if (error) co_return error;
  CO_TRY(const auto answer, co_await read_answer(socket));
  if (answer.status / 100 == 2) co_return Result<void>();
  if (answer.status == 407) co_return Errc::wants_credentials;
  if (answer.status / 100 == 4) co_return Errc::refused;
  co_return Errc::failed;
}

}  // namespace hagring::egress
