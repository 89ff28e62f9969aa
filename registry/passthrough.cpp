// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "registry/forwarding.hpp"
#include "registry/inquiry.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::registry {
namespace {

constexpr std::size_t kPiece = 128UL * 1024;

/// Sends the client's body on. A client that ends too early must not look to the origin like one
/// that has sent all: its connection is closed.
awaitable<void> send_body(http::Connection& client, http::Connection& origin) {
  Bytes buffer(kPiece);
  while (true) {
    const auto size = co_await client.read_body(buffer);
    if (!size) co_return origin.stream().close();
    if (*size == 0) break;
    if (!co_await origin.write_body(ByteView(buffer).first(*size))) co_return;
  }
  (void)co_await origin.finish_body();
}

/// A request with a body: it goes on while the origin may answer already, which ends it.
awaitable<Result<void>> pass_with_body(Inquiry& inquiry) {
  auto opened = co_await inquiry.parts.origin.open(inquiry.origin);
  if (!opened) co_return co_await refuse_unreachable(inquiry, opened.error());
  auto& origin = opened->connection();
  origin.stream().set_inactivity_limit(inquiry.parts.options.passthrough_patience);
  const auto written = co_await origin.write_request(forwarded(inquiry.request));
  if (!written) co_return co_await refuse_unreachable(inquiry, written.error());
  TaskGroup sending(co_await asio::this_coro::executor, "upload");
  sending.spawn([&client = inquiry.client, &origin] { return send_body(client, origin); });
  auto response = co_await origin.read_response(inquiry.request.method);
  Result<void> answered = Errc::cancelled;
  if (response) {
    opened->response = *std::move(response);
    answered = co_await inquiry.answer.relay(*opened);
  } else if (inquiry.client.body_ended()) {
    answered = co_await refuse_unreachable(inquiry, response.error());
  }
  sending.cancel();
  co_await sending.drain();
  co_return answered;
}

}  // namespace

awaitable<Result<void>> pass_through(Inquiry& inquiry) {
  inquiry.pull.source = PullSource::passthrough;
  if (inquiry.request.body.kind != http::BodyLength::Kind::none) {
    co_return co_await pass_with_body(inquiry);
  }
  auto exchange =
      co_await inquiry.parts.origin.ask(inquiry.origin, forwarded(inquiry.request),
                                        {.response = inquiry.parts.options.passthrough_patience});
  if (!exchange) co_return co_await refuse_unreachable(inquiry, exchange.error());
  exchange->connection().stream().set_inactivity_limit(inquiry.parts.options.passthrough_patience);
  co_return co_await inquiry.answer.relay(*exchange);
}

awaitable<Result<void>> refuse_unreachable(Inquiry& inquiry, error_code cause) {
  if (is_cancelled(cause)) co_return cause;
  const auto& hooks = inquiry.parts.hooks;
  if (inquiry.origin.tls && cause == Errc::unavailable && hooks.not_verified) {
    hooks.not_verified(inquiry.origin.host, inquiry.origin.port);
  }
  const bool late = cause == Errc::timed_out;
  const bool shared = inquiry.pull.source != PullSource::passthrough;
  inquiry.pull.source = PullSource::none;
  const auto& to = inquiry.origin;
  const auto outage = inquiry.parts.origin.outage(to);
  co_return co_await inquiry.answer.refuse(
      late ? 504 : 502, "UNAVAILABLE",
      fmt::format("hagring: the registry {} at port {} {} ({}){}{}; check this node's way to it",
                  to.host.empty() ? to.preferred->address().to_string() : to.host, to.port,
                  late ? "did not answer in time" : "can't be asked", cause.message(),
                  outage.empty() ? "" : "; " + outage,
                  shared ? ", and neither this node nor a peer has the content" : ""));
}

}  // namespace hagring::registry
