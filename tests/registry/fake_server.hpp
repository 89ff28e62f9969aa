// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/ssl.h>

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "registry/digest.hpp"
#include "registry/range.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/http/connection.hpp"

namespace hagring::test {

/// An HTTP server on a loopback socket that does what its test says.
class FakeServer {
 public:
  /// Answers one request; after false the connection is closed.
  using Handler = std::function<awaitable<bool>(http::Connection&, http::Request)>;

  /// With `tls` it speaks TLS.
  FakeServer(asio::io_context& context, SSL_CTX* tls = nullptr);
  ~FakeServer();

  asio::ip::tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }
  /// Refuses connections from now on.
  void close() { acceptor_.close(); }
  awaitable<void> drain();

  Handler handler;
  std::vector<http::Request> requests;  ///< all so far, in order
  int connections = 0;

  /// How many requests had this method and a target that contains `part`.
  int count(std::string_view method, std::string_view part) const;

 private:
  awaitable<void> accept();
  awaitable<void> serve(asio::ip::tcp::socket socket);

  SSL_CTX* tls_;
  asio::ip::tcp::acceptor acceptor_;
  TaskGroup tasks_;
};

/// How a fake registry or peer misbehaves, for reads of blobs.
struct Behaviour {
  std::optional<unsigned> status{};       ///< every request is answered with this
  std::optional<std::size_t> cut_at{};    ///< the body ends (FIN) at this offset of the content
  bool reset = false;                     ///< … with RST
  std::optional<std::size_t> wrong_at{};  ///< the byte at this offset of the content is another
  std::optional<std::size_t> stall_at{};  ///< nothing comes after this offset
  bool ignores_range = false;
  http::BodyLength::Kind framing = http::BodyLength::Kind::length;
  std::optional<std::uint64_t> claims{};  ///< Content-Length of a whole body
  std::string location{};                 ///< with `status`: of a redirect
  http::Headers headers{};                ///< added to every answer
};

/// Blobs, manifests and tags behind a FakeServer.
class FakeRegistry {
 public:
  FakeRegistry(asio::io_context& context, Clock& clock, SSL_CTX* tls = nullptr);

  registry::Digest add(std::string content);
  void tag(const std::string& path, const registry::Digest& digest) { tags.emplace(path, digest); }

  FakeServer server;
  Behaviour behaviour;
  /// What the next requests meet, one each, before `behaviour` counts.
  std::deque<Behaviour> turns;
  std::map<std::string, std::string> contents;   ///< by digest
  std::map<std::string, registry::Digest> tags;  ///< `library/nginx/manifests/1` → digest
  std::string media_type = "application/vnd.oci.image.manifest.v1+json";

 private:
  awaitable<bool> answer(http::Connection& connection, http::Request request);
  awaitable<bool> send(http::Connection& connection, const http::Request& request,
                       const Behaviour& now, const std::string& digest);
  awaitable<bool> send_body(http::Connection& connection, const Behaviour& now, std::string content,
                            registry::Selection part);

  Clock& clock_;
};

/// Bytes that look random and are always the same.
std::string noise(std::size_t size, unsigned seed = 1);

}  // namespace hagring::test
