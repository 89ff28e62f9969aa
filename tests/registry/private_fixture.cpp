// SPDX-License-Identifier: Apache-2.0
#include "tests/registry/private_fixture.hpp"

#include <openssl/ssl.h>

namespace hagring::registry {

PrivateTest::PrivateTest() {
  X509_STORE_add_cert(SSL_CTX_get_cert_store(client_tls.get()), auth_certificate.certificate.get());
  dialer.names["auth.test"] = tokens.endpoint();
  tokens.handler = [this](http::Connection& connection, http::Request) -> awaitable<bool> {
    const http::Response response{.status = token_status};
    co_return (co_await connection.write_response_with(response, token_answer)).has_value();
  };
  serve_ = origin.server.handler;
  origin.server.handler = [this](http::Connection& connection, http::Request request) {
    return answer(connection, std::move(request));
  };
}

awaitable<bool> PrivateTest::answer(http::Connection& connection, http::Request request) {
  if (origin.behaviour.status) co_return co_await serve_(connection, std::move(request));
  const auto& target = request.target;
  const auto slash = target.rfind('/');
  const auto kind = target.rfind('/', slash - 1);
  const auto& repository = repositories[target.substr(4, kind - 4)];
  const std::string given(request.headers.get("Authorization").value_or(""));
  http::Response refusal;
  if (!repository.credentials.contains(given) && !repository.credentials.contains("")) {
    refusal.status = given == "Bearer nobody" || given.empty() ? 401 : 403;
    refusal.headers.add("WWW-Authenticate", challenge);
  } else if (!repository.contents.contains(target.substr(slash + 1))) {
    refusal.status = 404;
  } else {
    co_return co_await serve_(connection, std::move(request));
  }
  co_return (co_await connection.write_response_with(refusal, "the origin's own")).has_value();
}

Digest PrivateTest::publish(const std::string& repository, std::string content,
                            const std::string& tag) {
  auto digest = origin.add(std::move(content));
  auto& contents = repositories[repository].contents;
  contents.insert(digest.to_string());
  if (!tag.empty()) {
    contents.insert(tag);
    origin.tag(repository + "/manifests/" + tag, digest);
  }
  return digest;
}

void PrivateTest::give(test::FakeRegistry& peer, const std::string& content,
                       const std::string& mark) {
  peer.add(content);
  if (!mark.empty()) peer.behaviour.headers = {{std::string(kPrivateField), mark}};
}

Reply PrivateTest::get(const std::string& path, const std::string& credentials,
                       const std::string& method) {
  http::Headers headers;
  if (!credentials.empty()) headers.add("Authorization", credentials);
  auto reply = ask(method, path, std::move(headers));
  finish_background();
  return reply;
}

}  // namespace hagring::registry
