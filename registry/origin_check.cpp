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

/// `connected` tells how far it came when it is cut short.
awaitable<Result<Shaken>> shake(Dialer& dialer, SSL_CTX* tls, Destination destination,
                                bool& connected) {
  destination.tls = true;
  auto dialled = co_await dialer.dial(destination);
  if (!dialled && egress::is_refusal(dialled.error())) {
    co_return Shaken{OriginVerdict::refused_by_proxy, dialled.error().message()};
  }
  CO_TRY(auto socket, std::move(dialled));
  connected = true;
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
    case OriginVerdict::undecided:
      return "undecided";
    case OriginVerdict::unreachable:
      break;
  }
  return "unreachable";
}

bool VerifiedOrigins::contains(const std::string& origin) const {
  const std::lock_guard lock(mutex_);
  return origins_.contains(origin);
}

void VerifiedOrigins::add(const std::string& origin) {
  const std::lock_guard lock(mutex_);
  if (origins_.size() >= kCapacity && !origins_.contains(origin)) origins_.erase(origins_.begin());
  origins_.insert(origin);
}

void VerifiedOrigins::remove(const std::string& origin) {
  const std::lock_guard lock(mutex_);
  origins_.erase(origin);
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
  if (known_to_be_unreachable(origin)) co_return OriginVerdict::unreachable;
  auto executor = co_await asio::this_coro::executor;
  const auto ended =
      std::make_shared<asio::steady_timer>(executor, asio::steady_timer::time_point::max());
  under_way_.emplace(key, ended);
  auto entry = co_await shake_hands(origin, verified_->contains(key));
  const auto verdict = entry.verdict;
  const auto state = co_await asio::this_coro::cancellation_state;
  // What was cut short says nothing of the origin: whoever waits tries for itself.
  if (state.cancelled() == asio::cancellation_type::none) {
    tell_breaker(origin, entry);
    if (verdict == OriginVerdict::verified) verified_->add(key);
    remember(key, std::move(entry));
  }
  under_way_.erase(key);
  ended->cancel();
  co_return verdict;
}

awaitable<OriginCheck::Entry> OriginCheck::shake_hands(Destination origin, bool verified_before) {
  const auto host = origin.host;
  bool connected = false;
  const auto shaken = co_await with_deadline(clock_, options_.limit,
                                             shake(dialer_, tls_, std::move(origin), connected));
  Entry entry;
  if (shaken) {
    entry.verdict = shaken->verdict;
    entry.reason = shaken->reason;
  } else {
    const bool slow = connected && shaken.error() == Errc::timed_out;
    if (slow && !verified_before) entry.verdict = OriginVerdict::undecided;
    entry.reason = shaken.error().message();
  }
  if (entry.verdict != OriginVerdict::verified) {
    log::info("origin", "{}: {} ({})", host, to_string(entry.verdict), entry.reason);
  }
  entry.until = clock_.now() + lifetime(entry.verdict);
  co_return entry;
}

Duration OriginCheck::lifetime(OriginVerdict verdict) const {
  switch (verdict) {
    case OriginVerdict::verified:
      return options_.verified;
    case OriginVerdict::undecided:
      return options_.undecided;
    case OriginVerdict::unreachable:
    case OriginVerdict::refused_by_proxy:
      return options_.unreachable;
    case OriginVerdict::not_verified:
    case OriginVerdict::wants_client_certificate:
      break;
  }
  return options_.refused;
}

bool OriginCheck::known_to_be_unreachable(const Destination& origin) const {
  if (breaker_ == nullptr) return false;
  const auto outage = breaker_->outage({.host = origin.host, .port = origin.port});
  return outage && outage->trouble == Trouble::unreachable &&
         breaker_->is_down({.host = origin.host, .port = origin.port});
}

void OriginCheck::tell_breaker(const Destination& origin, const Entry& entry) {
  if (breaker_ == nullptr || entry.verdict == OriginVerdict::refused_by_proxy) return;
  const OriginServer server{.host = origin.host, .port = origin.port};
  if (entry.verdict == OriginVerdict::undecided) {
    return breaker_->suspect(server, origin.preferred);
  }
  if (entry.verdict != OriginVerdict::unreachable) return breaker_->reached(server);
  breaker_->failed(server, Trouble::unreachable, entry.reason, origin.preferred);
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
  const auto key = fmt::format("{}:{}", host, port);
  entries_.erase(key);
  verified_->remove(key);
}

std::vector<OriginCheck::Known> OriginCheck::known() const {
  std::vector<Known> result;
  for (const auto& [host, entry] : entries_) {
    if (entry.until > clock_.now()) result.push_back({host, entry.verdict, entry.reason});
  }
  return result;
}

}  // namespace hagring::registry
