// SPDX-License-Identifier: Apache-2.0
#include "registry/rate_limits.hpp"

#include <openssl/rand.h>

#include <algorithm>

#include "registry/credential.hpp"
#include "userspace/base/hasher.hpp"
#include "userspace/base/log.hpp"

namespace hagring::registry {
namespace {

constexpr std::size_t kMaxSource = 64;

bool is_of_manifest(const http::Request& request) {
  return request.target.find("/manifests/") != std::string::npos;
}

/// Whether the answer can be given again to a HEAD or GET.
bool is_read(const http::Request& request) {
  return request.method == "GET" || request.method == "HEAD";
}

std::size_t size_of(const RateLimits::Answer& answer) {
  auto size = answer.body.size();
  for (const auto& [name, value] : answer.response.headers) size += name.size() + value.size() + 4;
  return size;
}

/// Puts an entry in, at a full map's expense of that which ends first.
template <typename Entry>
void put(std::map<std::string, Entry>& entries, std::size_t capacity, std::string key,
         Entry entry) {
  if (entries.size() >= capacity && !entries.contains(key)) {
    entries.erase(std::ranges::min_element(entries, {},
                                           [](const auto& other) { return other.second.until; }));
  }
  entries.insert_or_assign(std::move(key), std::move(entry));
}

template <typename Entry>
const Entry* valid(const std::map<std::string, Entry>& entries, const std::string& key,
                   TimePoint now) {
  const auto entry = entries.find(key);
  return entry == entries.end() || entry->second.until <= now ? nullptr : &entry->second;
}

}  // namespace

RateLimits::RateLimits(Clock& clock, Options options)
    : clock_(clock), options_(options), secret_(32) {
  if (RAND_priv_bytes(secret_.data(), static_cast<int>(secret_.size())) != 1) {
    throw StartError("no random numbers for the key that requests are hashed under");
  }
}

bool RateLimits::limits(const OriginServer& server, const http::Request& request) const {
  if (idle_) return false;
  const auto key = limit_key(server, request);
  const std::lock_guard lock(mutex_);
  const auto* known = valid(limits_, key, clock_.now());
  // One that has nothing left still answers a HEAD, which Docker Hub doesn't count.
  return known != nullptr && (known->limit.refused || request.method != "HEAD");
}

std::optional<RateLimits::Answer> RateLimits::remembered(const OriginServer& server,
                                                         const http::Request& request) const {
  if (idle_ || !is_read(request)) return std::nullopt;
  const auto key = request_key(server, request);
  const auto now = clock_.now();
  const std::lock_guard lock(mutex_);
  const auto* kept = valid(answers_, key, now);
  if (kept == nullptr) return std::nullopt;
  auto answer = kept->answer;
  if (answer.response.headers.contains("Retry-After")) {
    const auto left = std::chrono::ceil<std::chrono::seconds>(kept->retry_at - now);
    answer.response.headers.set("Retry-After", std::to_string(left.count()));
  }
  return answer;
}

bool RateLimits::learn(const OriginServer& server, const http::Request& request,
                       const http::Response& response) {
  const auto notice = limit_notice(response, clock_.wall());
  if (!notice && idle_) return false;
  auto key = limit_key(server, request);
  const auto now = clock_.now();
  const std::lock_guard lock(mutex_);
  if (!notice) {
    // A HEAD that is let through says nothing of what counts.
    if (response.status / 100 == 2 && request.method == "GET") limits_.erase(key);
    return false;
  }
  const auto source = response.headers.get("Docker-RateLimit-Source").value_or("");
  Limit limit{.server = server,
              .manifests = is_of_manifest(request),
              .refused = notice->refused,
              .source = std::string(source.substr(0, kMaxSource))};
  if (valid(limits_, key, now) == nullptr) {
    log::info("origin", "{} limits the rate of requests for {} s: peers are asked first",
              server.to_string(), std::chrono::ceil<std::chrono::seconds>(notice->lasts).count());
  }
  idle_ = false;
  put(limits_, options_.limits, std::move(key), {std::move(limit), now + notice->lasts});
  return notice->refused && notice->stated && is_read(request);
}

void RateLimits::remember(const OriginServer& server, const http::Request& request, Answer answer) {
  const auto notice = limit_notice(answer.response, clock_.wall());
  if (!notice || size_of(answer) > options_.answer_bytes) return;
  auto key = request_key(server, request);
  const auto now = clock_.now();
  const std::lock_guard lock(mutex_);
  std::erase_if(answers_, [&](const auto& entry) { return entry.second.until <= now; });
  put(answers_, options_.answers, std::move(key),
      {std::move(answer), now + std::min(notice->lasts, options_.replay), now + notice->lasts});
}

std::vector<RateLimits::Limit> RateLimits::all() const {
  std::vector<Limit> result;
  if (idle_) return result;
  const auto now = clock_.now();
  const std::lock_guard lock(mutex_);
  for (const auto& [key, known] : limits_) {
    if (known.until <= now) continue;
    result.push_back(known.limit);
    result.back().remaining = known.until - now;
  }
  return result;
}

std::string RateLimits::limit_key(const OriginServer& server, const http::Request& request) const {
  const auto authorization = request.headers.get("Authorization").value_or("");
  return hashed({server.to_string(), owner_of_credential(authorization),
                 is_of_manifest(request) ? "manifests" : "others"});
}

std::string RateLimits::request_key(const OriginServer& server,
                                    const http::Request& request) const {
  const auto authorization = request.headers.get("Authorization").value_or("");
  return hashed(
      {server.to_string(), owner_of_credential(authorization), request.method, request.target});
}

std::string RateLimits::hashed(std::initializer_list<std::string_view> parts) const {
  Hasher hasher(HashAlgorithm::sha256);
  hasher.update(secret_);
  for (const auto part : parts) {
    hasher.update(as_bytes(std::to_string(part.size()) + " "));
    hasher.update(as_bytes(part));
  }
  const auto digest = hasher.digest();
  return std::string(as_text(digest));
}

}  // namespace hagring::registry
