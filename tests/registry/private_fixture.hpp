// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>

#include "tests/registry/mirror_fixture.hpp"

namespace hagring::registry {

inline const std::string kManifest =
    R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
    R"("config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,)"
    R"("digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},)"
    R"("layers":[]})";

/// An origin that lets each repository be read with some credentials only, and its token service,
/// which gives anybody a token that counts as nobody's.
struct PrivateTest : MirrorTest {
  struct Repository {
    std::set<std::string> credentials;  ///< values of Authorization; "" lets anybody in
    std::set<std::string> contents;     ///< tags and digests
  };

  PrivateTest();
  ~PrivateTest() override { test::run(context, tokens.drain()); }

  /// Adds content to a repository of the origin.
  Digest publish(const std::string& repository, std::string content, const std::string& tag = "");
  /// The content of `repository` that `peer` has, with its mark.
  void give(test::FakeRegistry& peer, const std::string& content, const std::string& mark);
  /// `credentials`: of Authorization; empty: none.
  Reply get(const std::string& path, const std::string& credentials = "",
            const std::string& method = "GET");
  std::string manifest_path(const std::string& repository, const std::string& reference) const {
    return "/v2/" + repository + "/manifests/" + reference;
  }
  std::string blob_path(const std::string& repository, const Digest& digest) const {
    return "/v2/" + repository + "/blobs/" + digest.to_string();
  }
  /// Requests that reached the origin, other than anonymous ones for its sake.
  int asked(const std::string& method) { return origin.server.count(method, ""); }
  void go_down() { origin.behaviour.status = 503; }

  std::map<std::string, Repository> repositories;
  std::string challenge =
      R"(Bearer realm="https://auth.test/token",service="registry.test",scope="repository:x:pull")";
  unsigned token_status = 200;
  std::string token_answer = R"({"token":"nobody"})";
  test::TestCertificate auth_certificate = test::make_certificate("auth.test");
  SslContext auth_tls = test::make_server_context_with(auth_certificate);
  test::FakeServer tokens{context, auth_tls.get()};

 private:
  awaitable<bool> answer(http::Connection& connection, http::Request request);
  test::FakeServer::Handler serve_;
};

}  // namespace hagring::registry
