// SPDX-License-Identifier: Apache-2.0
#include "registry/mirror.hpp"

#include <fmt/core.h>

#include "registry/inquiry.hpp"
#include "registry/size_lesson.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/log.hpp"
#include "userspace/http/grammar.hpp"

namespace hagring::registry {
namespace {

/// What a client may still send after an answer that ended early, before it gets a RST.
constexpr std::size_t kLingerBytes = 16 << 20;
constexpr Duration kLinger = std::chrono::seconds(3);
/// The most that is left unread of a request's body to keep its connection.
constexpr std::size_t kMaxUnreadBody = 64UL * 1024;

/// The host of a Host field, without its port.
std::string host_of(const http::Request& request) {
  const auto field = request.headers.get("Host").value_or("");
  const auto colon = field.rfind(':');
  const bool has_port = colon != std::string_view::npos && field.find(']', colon) == field.npos;
  return std::string(has_port ? field.substr(0, colon) : field);
}

/// Whether a client asks if the registry has what it is about to push: the registry alone knows,
/// and a yes of ours would make the push do nothing. containerd asks so
/// (core/remotes/docker/pusher.go: Accept is the one media type and */*); in pulls it names every
/// type of manifest.
bool asks_before_push(const http::Request& request) {
  if (request.method != "HEAD") return false;
  const auto accepted = http::list_elements(request.headers.get("Accept").value_or(""));
  return accepted.size() == 2 && accepted[0] != "*/*" && accepted[1] == "*/*";
}

/// One intercepted connection.
class Session {
 public:
  Session(MirrorParts& parts, http::Connection& client, const Interception& about)
      : parts_(parts), client_(client), about_(about) {}

  awaitable<void> run();

 private:
  awaitable<Result<void>> answer(http::Request request);
  awaitable<Result<void>> dispatch(Inquiry& inquiry, bool mirrored);
  awaitable<Result<void>> answer_probe(Inquiry& inquiry);
  Upstream upstream_for(const std::string& host, bool mirrored) const;

  MirrorParts& parts_;
  http::Connection& client_;
  const Interception& about_;
};

awaitable<void> Session::run() {
  // The first request is waited for even at the end: it may be under way already, and clients don't
  // repeat one that fails on a new connection.
  for (bool served = false; !served || !parts_.draining; served = true) {
    client_.stream().set_inactivity_limit(parts_.options.idle);
    if (served) parts_.idle.insert(&client_.stream());
    auto request =
        co_await with_deadline(parts_.clock, parts_.options.idle, client_.read_request());
    parts_.idle.erase(&client_.stream());
    if (!request) {
      if (request.error() == Errc::bad_message || request.error() == Errc::too_large) {
        // What can't be read leaves the connection unfit for messages, so the bytes go out as they
        // are.
        const bool large = request.error() == Errc::too_large;
        const std::string_view refusal =
            large ? "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\n"
                    "Connection: close\r\n\r\n"
                  : "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        (void)co_await client_.stream().write(as_bytes(refusal));
      }
      co_return;
    }
    client_.stream().set_inactivity_limit(parts_.options.client_stall);
    if (!co_await answer(*std::move(request))) co_return;
    if (!co_await client_.skip_body(kMaxUnreadBody) || !client_.reusable()) co_return;
  }
}

/// The server that the client meant, and no other: where it says another name than the one its
/// connection is for, that doesn't change where its requests go.
Upstream Session::upstream_for(const std::string& host, bool mirrored) const {
  Upstream to{.host = about_.tls || about_.proxied() ? about_.host : "",
              .port = about_.port(),
              .tls = about_.tls,
              .preferred = {}};
  if (about_.proxied()) return to;
  to.preferred = about_.original;
  // Without TLS the name is only in the request. A name among the mirrored registries may be
  // resolved anew; any other would make us a relay to wherever the client says.
  if (!about_.tls && mirrored) to.host = host;
  return to;
}

awaitable<Result<void>> Session::answer(http::Request request) {
  const auto begin = parts_.clock.now();
  const auto host = host_of(request);
  const bool same_host =
      !(about_.tls || about_.proxied()) || http::equals_ignoring_case(host, about_.host);
  auto registry =
      same_host ? parts_.policy.registry_of(host, about_.port(), !about_.tls) : std::nullopt;
  auto what = registry || host == kProbeHost ? route(request.method, request.target) : Route();
  // `?ns=` is for mirrors; a client that says so to an origin means something that we don't know.
  if (!what.registry.empty() && what.registry != registry) what = {};
  const auto rule = parts_.policy.decide({.registry = registry.value_or(host),
                                          .repository = what.repository,
                                          .tag = what.tag,
                                          .digest = what.digest});
  Pull pull{.time = parts_.clock.wall(),
            .registry = registry.value_or(host),
            .mirrored = registry.has_value(),
            .repository = what.repository.empty()
                              ? request.target.substr(0, request.target.find('?'))
                              : what.repository,
            .reference = what.digest ? what.digest->to_string() : what.tag.value_or(""),
            .method = request.method,
            .begin = begin,
            .client = about_.client};
  if (what.kind == Route::Kind::manifest) pull.kind = PullKind::manifest;
  if (what.kind == Route::Kind::blob) pull.kind = PullKind::blob;
  const bool is_read = pull.kind != PullKind::other && pull.method == "GET";
  Inquiry inquiry{
      .parts = parts_,
      .client = client_,
      .origin = upstream_for(host, registry.has_value()),
      .request = std::move(request),
      .route = std::move(what),
      .registry = registry.value_or(host),
      .pull = pull,
      .answer = Answer(parts_.clock, client_, pull, is_read ? parts_.under_way : nullptr),
      .rule = rule};
  const auto answered = co_await dispatch(inquiry, registry.has_value());
  pull.duration = parts_.clock.now() - begin;
  if (!answered && pull.note.empty()) pull.note = answered.error().message();
  log::debug("mirror", "{} {}/{} {}: {} from {} {}, {} bytes {}", pull.method, pull.registry,
             pull.repository, pull.reference, pull.status, to_string(pull.source), pull.peers,
             pull.bytes, pull.note);
  if (parts_.hooks.answered) parts_.hooks.answered(pull);
  const auto manifest = pull.kind == PullKind::manifest && pull.status == 200
                            ? Digest::parse(pull.content)
                            : std::nullopt;
  parts_.record.add(std::move(pull));
  if (manifest && parts_.sizes) co_await learn_from_store(parts_.store, *parts_.sizes, *manifest);
  co_return answered;
}

awaitable<Result<void>> Session::dispatch(Inquiry& inquiry, bool mirrored) {
  // By name, not by address: names that don't resolve are given addresses of the same network.
  if (about_.host == kProbeHost && !mirrored) co_return co_await answer_probe(inquiry);
  if (asks_before_push(inquiry.request)) co_return co_await pass_through(inquiry);
  if (!inquiry.rule.mirror) co_return co_await read_excluded(inquiry);
  switch (inquiry.route.kind) {
    case Route::Kind::manifest:
      if (inquiry.route.tag) co_return co_await read_by_tag(inquiry);
      [[fallthrough]];
    case Route::Kind::blob:
      co_return co_await read_by_digest(inquiry, *inquiry.route.digest);
    case Route::Kind::version:
    case Route::Kind::passthrough:
      break;
  }
  co_return co_await pass_through(inquiry);
}

/// The probe's pull ends here: its address is nobody's.
awaitable<Result<void>> Session::answer_probe(Inquiry& inquiry) {
  const auto& what = inquiry.route;
  const bool is_probe = what.kind == Route::Kind::manifest && what.repository == kProbeRepository;
  if (is_probe && what.tag && parts_.hooks.probed) parts_.hooks.probed(*what.tag, about_.client);
  co_return co_await inquiry.answer.refuse(404, "MANIFEST_UNKNOWN",
                                           "hagring: the probe came through; there is no image");
}

}  // namespace

awaitable<void> Mirror::serve(std::unique_ptr<ByteStream> stream, Interception about) {
  co_await asio::this_coro::throw_if_cancelled(false);
  http::Connection client(std::move(stream), about.read_ahead);
  about.read_ahead = {};
  Session session(parts_, client, about);
  co_await session.run();
  co_await linger_close(client.stream(), kLinger, kLingerBytes);
}

void Mirror::drain() {
  parts_.draining = true;
  for (auto* stream : std::vector(parts_.idle.begin(), parts_.idle.end())) stream->close();
}

}  // namespace hagring::registry
