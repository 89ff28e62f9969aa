// SPDX-License-Identifier: Apache-2.0
#include "registry/tag_candidates.hpp"

#include <fmt/core.h>

#include "registry/peer_request.hpp"
#include "userspace/base/deadline.hpp"

namespace hagring::registry {
namespace {

/// For other peers to confirm what the first one says.
constexpr Duration kSecondOpinions = std::chrono::milliseconds(300);
constexpr std::size_t kMaxOpinions = 3;
constexpr int kAgreement = 2;  ///< peers that say the same: nobody else is asked

std::string name_of(const Inquiry& inquiry) {
  return fmt::format("{}/{}:{}", inquiry.registry, inquiry.route.repository,
                     inquiry.route.tag.value_or(""));
}

/// What peers have said, in the order in which each answer was heard first.
class Opinions {
 public:
  /// Whether no more are needed.
  bool add(const Digest& digest) {
    ++heard_;
    for (auto& [other, times] : counts_) {
      if (other == digest) return ++times >= kAgreement;
    }
    counts_.emplace_back(digest, 1);
    return heard_ >= kMaxOpinions;
  }

  std::size_t heard() const { return heard_; }

  std::optional<Digest> best() const {
    const std::pair<Digest, int>* most = nullptr;
    for (const auto& count : counts_) {
      if (most == nullptr || count.second > most->second) most = &count;
    }
    return most == nullptr ? std::nullopt : std::optional(most->first);
  }

 private:
  std::vector<std::pair<Digest, int>> counts_;
  std::size_t heard_ = 0;
};

}  // namespace

awaitable<Result<Digest>> Fetcher::resolve(PeerSearch& search, TagRequest request) {
  Opinions opinions;
  auto end = clock_.now() + options_.budget;
  for (std::size_t asked = 0; asked < options_.max_peers && clock_.now() < end; ++asked) {
    const auto digest =
        co_await with_deadline(clock_, end - clock_.now(), next_opinion(search, request));
    if (digest && !*digest) continue;
    if (!digest && is_cancelled(digest.error())) co_return digest.error();
    if (!digest || opinions.add(**digest)) break;
    if (opinions.heard() == 1) end = std::min(end, clock_.now() + kSecondOpinions);
  }
  const auto best = opinions.best();
  if (!best) co_return Errc::not_found;
  co_return *best;
}

/// What the next peer says; none: it doesn't know. Errors: there are no more, or the search's.
awaitable<Result<std::optional<Digest>>> Fetcher::next_opinion(PeerSearch& search,
                                                               const TagRequest& request) {
  CO_TRY(const auto peer, co_await next(search));
  const auto path = fmt::format("{}/manifests/{}", request.repository, request.tag);
  auto digest =
      co_await digest_at(peer, peer_read(peer, "HEAD", path, request.registry, request.accept));
  if (digest) co_return std::optional(*digest);
  if (is_cancelled(digest.error())) co_return digest.error();
  co_return std::optional<Digest>();
}

awaitable<Result<Digest>> Fetcher::digest_at(Peer peer, http::Request request) {
  CO_TRY(const auto exchange, co_await ask(std::move(peer), std::move(request)));
  const auto& response = exchange.response;
  const auto digest = Digest::parse(response.headers.get("Docker-Content-Digest").value_or(""));
  if (response.status != 200 || !digest) co_return Errc::not_found;
  note_privacy(*digest, response);
  co_return *digest;
}

void Fetcher::note_privacy(const Digest& digest, const http::Response& response) {
  if (privacy_ == nullptr) return;
  if (const auto field = response.headers.get(kPrivateField)) privacy_->add_field(digest, *field);
  if (const auto field = response.headers.get(kPresumedField)) {
    privacy_->presume_field(digest, *field);
  }
}

TagCandidates::TagCandidates(Inquiry& inquiry)
    : inquiry_(inquiry), search_(inquiry.parts.fetcher.find(name_of(inquiry))) {}

awaitable<Result<std::optional<Digest>>> TagCandidates::at(Place place) {
  auto& known = place == Place::here ? here_ : peers_;
  if (!known) {
    CO_TRY(known, co_await ask(place));
  }
  co_return *known;
}

awaitable<Result<std::optional<Digest>>> TagCandidates::ask(Place place) {
  if (place == Place::here) {
    const auto descriptor = co_await inquiry_.parts.store.resolve(name_of(inquiry_));
    co_return descriptor ? std::optional(descriptor->digest) : std::nullopt;
  }
  if (!search_) co_return std::nullopt;
  const auto digest = co_await inquiry_.parts.fetcher.resolve(
      *search_, {.registry = inquiry_.registry,
                 .repository = inquiry_.route.repository,
                 .tag = inquiry_.route.tag.value_or(""),
                 .accept = std::string(inquiry_.request.headers.get("Accept").value_or(""))});
  if (!digest && is_cancelled(digest.error())) co_return digest.error();
  co_return digest ? std::optional(*digest) : std::nullopt;
}

}  // namespace hagring::registry
