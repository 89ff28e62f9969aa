// SPDX-License-Identifier: Apache-2.0
#include "registry/peer_responder.hpp"

#include <fmt/format.h>

#include "registry/file_body.hpp"
#include "registry/manifest.hpp"
#include "registry/oci_error.hpp"
#include "registry/permission.hpp"
#include "registry/presumption.hpp"
#include "registry/range.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/read_at.hpp"

namespace hagring::registry {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

http::Response response_of(unsigned status, bool keep_alive) {
  http::Response response;
  response.status = status;
  response.keep_alive = keep_alive;
  return response;
}

Result<Bytes> read_whole(const OpenBlob& blob) {
  Bytes bytes(blob.size);
  TRY(const auto done, read_at(blob.file.get(), 0, bytes));
  if (done < bytes.size()) return Errc::truncated;
  return bytes;
}

/// A manifest's media type is told by its bytes alone: containerd takes it from our Content-Type.
Result<std::string> manifest_media_type(const OpenBlob& blob) {
  if (blob.size > kMaxManifestBytes) return Errc::not_found;
  TRY(const auto bytes, read_whole(blob));
  auto manifest = parse_manifest(bytes);
  if (!manifest) return Errc::not_found;  // a blob, asked for as a manifest
  return std::move(manifest->media_type);
}

}  // namespace

/// What is said of content that isn't for everybody.
struct PeerResponder::Secrecy {
  std::optional<std::string> mark{};      ///< of kPrivateField
  std::optional<std::string> presumed{};  ///< of kPresumedField
};

struct PeerResponder::Content {
  Digest digest;
  OpenBlob blob;
  std::string media_type;
  Secrecy secrecy{};
};

awaitable<Result<void>> PeerResponder::answer(http::Connection& connection, http::Request request,
                                              asio::ip::address peer, bool keep_alive) {
  if (request.method != "GET" && request.method != "HEAD") {
    auto response = response_of(405, false);
    response.headers.add("Allow", "GET, HEAD");
    co_return co_await refuse(connection, std::move(response), "UNSUPPORTED",
                              "peers may only read");
  }
  if (!connection.body_ended()) {
    co_return co_await refuse(connection, response_of(400, false), "UNSUPPORTED",
                              "a read has no body");
  }
  const auto asked = route(request.method, request.target);
  if (asked.kind == Route::Kind::version) {
    auto response = response_of(200, keep_alive);
    response.headers.add("Docker-Distribution-Api-Version", "registry/2.0");
    co_return co_await connection.write_response_with(std::move(response), "");
  }
  auto content = co_await find(asked);
  if (!content) co_return co_await refuse_missing(connection, asked, content.error(), keep_alive);
  co_return co_await send(connection, request, std::move(*content), std::move(peer), keep_alive);
}

awaitable<Result<void>> PeerResponder::answer_malformed(http::Connection& connection,
                                                        error_code error) {
  counters_.refused.fetch_add(1, kRelaxed);
  auto response = response_of(error == Errc::too_large ? 431 : 400, false);
  co_return co_await connection.write_response_with(std::move(response), "");
}

awaitable<Result<PeerResponder::Content>> PeerResponder::find(const Route& asked) {
  const bool is_read = asked.kind == Route::Kind::manifest || asked.kind == Route::Kind::blob;
  if (!is_read || excluded(asked)) co_return Errc::not_found;
  auto digest = asked.digest;
  if (!digest) {
    // Without `ns` nobody knows whose tag is meant.
    if (asked.registry.empty()) co_return Errc::not_found;
    CO_TRY(auto descriptor,
           co_await store_.resolve(asked.registry + "/" + asked.repository + ":" + *asked.tag));
    digest = std::move(descriptor.digest);
  }
  CO_TRY(auto blob, co_await store_.open(*digest));
  auto secrecy = co_await secrecy_of(asked, *digest);
  const bool hidden = secrecy.mark || (secrecy.presumed && *secrecy.presumed != kNoSource);
  if (options_.anybody && hidden) co_return Errc::not_found;
  std::string media_type = "application/octet-stream";
  if (asked.kind == Route::Kind::manifest) {
    CO_TRY(media_type, manifest_media_type(blob));
  }
  co_return Content{std::move(*digest), std::move(blob), std::move(media_type), std::move(secrecy)};
}

awaitable<PeerResponder::Secrecy> PeerResponder::secrecy_of(const Route& asked, Digest digest) {
  Secrecy secrecy;
  if (options_.policy == nullptr || options_.privacy == nullptr) co_return secrecy;
  if (!options_.privacy->proven(digest)) {
    secrecy.presumed = co_await presumption_of(asked, digest);
  }
  if (private_under(*options_.policy, *options_.privacy, digest)) {
    secrecy.mark = options_.privacy->field_of(digest);
  }
  // That it came free is remembered for longer than a mark may be.
  if (secrecy.mark && secrecy.presumed == kNoSource) secrecy.presumed.reset();
  co_return secrecy;
}

awaitable<std::string> PeerResponder::presumption_of(const Route& asked, Digest digest) {
  const auto& policy = *options_.policy;
  auto& privacy = *options_.privacy;
  const auto sources =
      co_await sources_of(store_, policy, privacy, digest, asked.registry + "/" + asked.repository);
  const auto& names = sources.names;
  // Here, too, so that not every node that asks for it has to.
  if (options_.inquire) {
    for (const auto& repository : begin_inquiries(policy, privacy, names)) {
      options_.inquire(repository, digest, asked.kind == Route::Kind::manifest);
    }
  }
  const auto limit = options_.anybody ? options_.inquiry : Duration(0);
  const auto standing = co_await wait_for_standing(clock_, policy, privacy, names, limit);
  const bool given = options_.anybody ? may_be_given(standing) : standing == Standing::free;
  co_return given ? std::string(kNoSource) : fmt::format("{}", fmt::join(names, ", "));
}

bool PeerResponder::excluded(const Route& asked) const {
  if (options_.policy == nullptr || asked.registry.empty()) return false;
  return !options_.policy
              ->decide({.registry = asked.registry,
                        .repository = asked.repository,
                        .tag = asked.tag,
                        .digest = asked.digest})
              .mirror;
}

awaitable<Result<void>> PeerResponder::refuse(http::Connection& connection, http::Response response,
                                              std::string_view code, std::string_view message) {
  counters_.refused.fetch_add(1, kRelaxed);
  response.headers.set("Content-Type", "application/json");
  co_return co_await connection.write_response_with(std::move(response), oci_error(code, message));
}

awaitable<Result<void>> PeerResponder::refuse_missing(http::Connection& connection,
                                                      const Route& asked, error_code error,
                                                      bool keep_alive) {
  const bool missing = error == Errc::not_found;
  (missing ? counters_.not_found : counters_.failed).fetch_add(1, kRelaxed);
  auto response = response_of(missing ? 404 : 503, keep_alive);
  response.headers.set("Content-Type", "application/json");
  const auto code = asked.kind == Route::Kind::manifest ? "MANIFEST_UNKNOWN"
                    : asked.kind == Route::Kind::blob   ? "BLOB_UNKNOWN"
                                                        : "NAME_UNKNOWN";
  const auto message =
      missing ? "this node doesn't have it" : "this node's content store can't be read now";
  co_return co_await connection.write_response_with(std::move(response), oci_error(code, message));
}

awaitable<Result<void>> PeerResponder::send(http::Connection& connection,
                                            const http::Request& request, Content content,
                                            asio::ip::address peer, bool keep_alive) {
  const auto size = content.blob.size;
  // RFC 9110: Range is for GET only, and under a condition that we can't judge it doesn't count.
  const bool ranged = request.method == "GET" && !request.headers.contains("If-Range");
  const auto selection = select_range(ranged ? request.headers.get("Range") : std::nullopt, size);
  auto response = response_of(200, keep_alive);
  response.headers = {{"Content-Type", content.media_type},
                      {"Docker-Content-Digest", content.digest.to_string()},
                      {"Accept-Ranges", "bytes"}};
  const auto& secrecy = content.secrecy;
  if (secrecy.mark) response.headers.add(std::string(kPrivateField), *secrecy.mark);
  if (secrecy.presumed) response.headers.add(std::string(kPresumedField), *secrecy.presumed);
  if (selection.kind != Selection::Kind::whole) {
    response.headers.add("Content-Range", content_range(selection, size));
  }
  if (selection.kind == Selection::Kind::unsatisfiable) {
    response.status = 416;
    co_return co_await refuse(connection, std::move(response), "UNSUPPORTED",
                              "the range begins beyond the end");
  }
  if (selection.kind == Selection::Kind::part) response.status = 206;
  response.body = {http::BodyLength::Kind::length, selection.length};
  CO_CHECK(co_await connection.write_response(response));
  if (request.method == "HEAD") {
    counters_.served.fetch_add(1, kRelaxed);
    co_return Result<void>();
  }
  co_return co_await send_part(connection, content, selection.first, selection.length,
                               std::move(peer));
}

awaitable<Result<void>> PeerResponder::send_part(http::Connection& connection,
                                                 const Content& content, std::uint64_t first,
                                                 std::uint64_t length, asio::ip::address peer) {
  const auto limit = options_.grace + std::chrono::seconds(length / options_.least_speed);
  std::uint64_t sent = 0;
  const BytesSent count = [&sent](std::uint64_t bytes) { sent += bytes; };
  const auto done = co_await with_deadline(
      clock_, limit, send_file(connection, content.blob.file.get(), first, length, count));
  (done ? counters_.served : counters_.failed).fetch_add(1, kRelaxed);
  counters_.bytes.fetch_add(sent, kRelaxed);
  if (on_served_) on_served_({std::move(peer), content.digest, sent, done.has_value()});
  co_return done;
}

}  // namespace hagring::registry
