// SPDX-License-Identifier: Apache-2.0
#include "registry/origin_check.hpp"

#include <fmt/core.h>

#include "userspace/base/deadline.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/base/tls_stream.hpp"
#include "userspace/egress/error.hpp"

namespace hagring::registry {
namespace {

struct Shaken {
  OriginVerdict verdict;
  std::string reason;
};

awaitable<Result<Shaken>> shake(Dialer& dialer, SSL_CTX* tls, Destination destination) {
  destination.tls = true;
  auto dialled = co_await dialer.dial(destination);
  if (!dialled && egress::is_refusal(dialled.error())) {
    co_return Shaken{OriginVerdict::refused_by_proxy, dialled.error().message()};
  }
  CO_TRY(auto socket, std::move(dialled));
  auto ssl = make_client_ssl(tls, destination.host);
  TlsStream stream(ssl.release(), std::make_unique<SocketStream>(std::move(socket)));
  const auto shaken = co_await stream.handshake();
  const auto& failure = stream.failure();
  if (client_certificate_requested(stream.ssl())) {
    co_return Shaken{OriginVerdict::wants_client_certificate, "asks for a client certificate"};
  }
  if (shaken) co_return Shaken{OriginVerdict::verified, ""};
  if (shaken.error() != Errc::bad_message) co_return shaken.error();
  // Whatever TLS of ours can't do with it, we can't stand in for the client there.
  co_return Shaken{OriginVerdict::not_verified, failure.text};
}

}  // namespace

std::string_view to_string(OriginVerdict verdict) {
  switch (verdict) {
    case OriginVerdict::verified:
      return "verified";
    case OriginVerdict::not_verified:
      return "not verified";
    case OriginVerdict::wants_client_certificate:
      return "wants a client certificate";
    case OriginVerdict::refused_by_proxy:
      return "refused by the egress proxy";
    case OriginVerdict::unreachable:
      break;
  }
  return "unreachable";
}

awaitable<OriginVerdict> OriginCheck::inspect(Destination origin) {
  const auto key = fmt::format("{}:{}", origin.host, origin.port);
  while (true) {
    const auto entry = entries_.find(key);
    if (entry != entries_.end() && entry->second.until > clock_.now()) {
      co_return entry->second.verdict;
    }
    const auto other = under_way_.find(key);
    if (other == under_way_.end()) break;
    const auto ended = other->second;
    co_await ended->async_wait(kTuple);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return OriginVerdict::unreachable;
  }
  auto executor = co_await asio::this_coro::executor;
  const auto ended =
      std::make_shared<asio::steady_timer>(executor, asio::steady_timer::time_point::max());
  under_way_.emplace(key, ended);
  auto entry = co_await shake_hands(std::move(origin));
  const auto verdict = entry.verdict;
  const auto state = co_await asio::this_coro::cancellation_state;
  // What was cut short says nothing of the origin: whoever waits tries for itself.
  if (state.cancelled() == asio::cancellation_type::none) remember(key, std::move(entry));
  under_way_.erase(key);
  ended->cancel();
  co_return verdict;
}

awaitable<OriginCheck::Entry> OriginCheck::shake_hands(Destination origin) {
  const auto host = origin.host;
  const auto shaken =
      co_await with_deadline(clock_, options_.limit, shake(dialer_, tls_, std::move(origin)));
  Entry entry;
  if (shaken) {
    entry.verdict = shaken->verdict;
    entry.reason = shaken->reason;
  } else {
    entry.reason = shaken.error().message();
  }
  const bool verified = entry.verdict == OriginVerdict::verified;
  const bool unreachable = entry.verdict == OriginVerdict::unreachable ||
                           entry.verdict == OriginVerdict::refused_by_proxy;
  if (!verified) {
    log::info("origin", "{}: {} ({})", host, to_string(entry.verdict), entry.reason);
  }
  entry.until = clock_.now() + (verified      ? options_.verified
                                : unreachable ? options_.unreachable
                                              : options_.refused);
  co_return entry;
}

void OriginCheck::remember(const std::string& key, Entry entry) {
  if (entries_.size() >= options_.capacity && !entries_.contains(key)) {
    const auto now = clock_.now();
    std::erase_if(entries_, [&](const auto& other) { return other.second.until <= now; });
    if (entries_.size() >= options_.capacity) entries_.erase(entries_.begin());
  }
  entries_.insert_or_assign(key, std::move(entry));
}

void OriginCheck::forget(const std::string& host, std::uint16_t port) {
  entries_.erase(fmt::format("{}:{}", host, port));
}

std::vector<OriginCheck::Known> OriginCheck::known() const {
  std::vector<Known> result;
  for (const auto& [host, entry] : entries_) {
    if (entry.until > clock_.now()) result.push_back({host, entry.verdict, entry.reason});
  }
  return result;
}

}  // namespace hagring::registry
