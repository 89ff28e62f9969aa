// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "registry/content_store.hpp"
#include "registry/pulls_under_way.hpp"
#include "registry/upstream.hpp"
#include "userspace/http/connection.hpp"

namespace hagring::registry {

/// Writes the one answer to a client's request and notes in the request's record what was sent.
/// Errors of all functions: the client's connection's, or, in mid-body, the source's; after either
/// the connection can only be closed, short of the length that was announced.
class Answer {
 public:
  /// All outlive the answer. `under_way`, where one is given, shows it while it lives.
  Answer(Clock& clock, http::Connection& client, Pull& pull, PullsUnderWay* under_way = nullptr)
      : clock_(clock), client_(client), pull_(pull) {
    if (under_way != nullptr) under_way_.emplace(*under_way, pull);
  }

  awaitable<Result<void>> head(http::Response response);
  awaitable<Result<void>> body(ByteView part);
  awaitable<Result<void>> finish();

  /// A whole answer with its body.
  awaitable<Result<void>> whole(http::Response response, std::string body);
  /// An error in the form of the OCI distribution-spec.
  awaitable<Result<void>> refuse(unsigned status, std::string code, std::string message,
                                 http::Headers more = {});
  /// What a server answers, as it comes. `copy` gets the body, as far as kMaxManifestBytes; the
  /// client doesn't have the last of it before `before_end`, if given, has returned.
  awaitable<Result<void>> relay(Exchange& exchange, std::string* copy = nullptr,
                                std::function<awaitable<void>()> before_end = {});
  /// A head, then bytes of a file.
  awaitable<Result<void>> file(http::Response response, OpenBlob blob, std::uint64_t first,
                               std::uint64_t length);

  /// Whether a head has been written.
  bool begun() const { return pull_.status != 0; }

 private:
  void note_head(unsigned status, std::string content);
  void show_begun(const http::Response& response);
  void note_sent(std::uint64_t bytes);

  Clock& clock_;
  http::Connection& client_;
  Pull& pull_;
  std::optional<PullsUnderWay::Entry> under_way_;
};

}  // namespace hagring::registry
