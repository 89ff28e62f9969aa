// SPDX-License-Identifier: Apache-2.0
#include "registry/privacy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "userspace/http/grammar.hpp"

namespace hagring::registry {
std::string_view to_string(Audience audience) {
  switch (audience) {
    case Audience::everybody:
      return "public";
    case Audience::some:
      return "private";
    case Audience::unknown:
      break;
  }
  return "not known";
}

Privacy::Privacy(Clock& clock, Options options)
    : clock_(clock),
      options_(options),
      repositories_(options.repositories),
      marks_(options.digests),
      presumed_(options.presumptions),
      freed_(options.freed),
      log_(clock, "privacy") {}

/// Under the lock.
Audience Privacy::audience_now(const std::string& repository) const {
  const auto* known = repositories_.find(repository);
  return known != nullptr && known->until > clock_.wall() ? known->audience : Audience::unknown;
}

Audience Privacy::audience(const std::string& repository) const {
  const std::lock_guard lock(mutex_);
  return audience_now(repository);
}

Duration Privacy::believed_for(const std::string& repository) const {
  const std::lock_guard lock(mutex_);
  const auto* known = repositories_.find(repository);
  return known == nullptr ? Duration(0)
                          : std::max(Duration(known->until - clock_.wall()), Duration(0));
}

bool Privacy::begin_inquiry(const std::string& repository) {
  const std::lock_guard lock(mutex_);
  if (audience_now(repository) != Audience::unknown) return false;
  const auto now = clock_.now();
  if (const auto* known = repositories_.find(repository); known && known->retry_at > now) {
    return false;
  }
  while (!begun_.empty() && begun_.front() + options_.retry <= now) begun_.pop_front();
  if (begun_.size() >= options_.inquiries) return false;
  begun_.push_back(now);
  auto& known = repositories_.touch(repository);
  known.retry_at = now + options_.retry;
  known.inquiry = Knowledge::Inquiry::under_way;
  return true;
}

void Privacy::learn(const std::string& repository, Audience audience) {
  if (audience == Audience::unknown) return;
  const std::lock_guard lock(mutex_);
  const bool is_public = audience == Audience::everybody;
  const bool news = audience_now(repository) != audience;
  auto& known = repositories_.touch(repository);
  const auto period = is_public ? options_.everybody : options_.some;
  known.audience = audience;
  known.until = clock_.wall() + period;
  known.inquiry = Knowledge::Inquiry::none;
  known.refused = false;
  wake();
  if (!is_public) mark_presumed(repository);
  // A public repository says yes to each read: its later end alone is no news for a while.
  if (news || known.until - known.kept_until > period / 4) {
    known.kept_until = known.until;
    changed_ = true;
  }
  if (!is_public || !news) return;
  for (const auto& digest : digests_of(repository)) {
    // What is for everybody in one place is private nowhere.
    auto& mark = *marks_.find(digest);
    const bool free = mark.only(repository) || mark.find(repository)->proof == Proof::bytes;
    if (free) {
      marks_.erase(digest);
      continue;
    }
    std::erase_if(mark.claims, [&](const Claim& claim) { return claim.repository == repository; });
    mark.unknown = mark.unknown || mark.claims.empty();
  }
}

/// Under the lock. What is marked with `repository`.
std::vector<Digest> Privacy::digests_of(const std::string& repository) const {
  std::vector<Digest> digests;
  for (const auto& [digest, mark] : marks_) {
    if (mark.find(repository) != nullptr) digests.push_back(digest);
  }
  return digests;
}

Privacy::Claim* Privacy::Mark::find(const std::string& repository) {
  const auto found = std::ranges::find(claims, repository, &Claim::repository);
  return found == claims.end() ? nullptr : &*found;
}

const Privacy::Claim* Privacy::Mark::find(const std::string& repository) const {
  return const_cast<Mark*>(this)->find(repository);
}

bool Privacy::Mark::only(const std::string& repository) const {
  return !unknown && claims.size() == 1 && claims.front().repository == repository;
}

/// Whether `mark` was changed.
bool Privacy::add_to(Mark& mark, const Claim& claim) const {
  if (auto* known = mark.find(claim.repository)) {
    if (known->proof == Proof::bytes || claim.proof == Proof::answer) return false;
    known->proof = Proof::bytes;
    return true;
  }
  if (mark.claims.size() >= options_.repositories_of_a_mark) mark.claims.erase(mark.claims.begin());
  mark.claims.push_back(claim);
  return true;
}

void Privacy::add(const Digest& digest, const std::string& repository, Proof proof) {
  const std::lock_guard lock(mutex_);
  const auto* mark = marks_.find(digest);
  // A mere answer is no reason to touch what others have said.
  if (proof == Proof::answer && mark != nullptr && !mark->only(repository)) return;
  const auto* names = presumed_.find(digest);
  if (proof == Proof::answer && names != nullptr && !is_for_all(*names, registry_of(repository))) {
    return;
  }
  if (audience_now(repository) == Audience::everybody) {
    changed_ = marks_.erase(digest) || changed_;
    return;
  }
  changed_ = add_mark(digest, {.claims = {{.repository = repository, .proof = proof}}}) || changed_;
}

void Privacy::add_unknown(const Digest& digest) {
  const std::lock_guard lock(mutex_);
  // What is marked already is not the less private for it.
  if (marks_.find(digest) == nullptr) changed_ = add_mark(digest, {.unknown = true}) || changed_;
}

bool Privacy::vouches(const std::string& repository, const Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto* mark = marks_.find(digest);
  const auto* claim = mark == nullptr ? nullptr : mark->find(repository);
  if (claim != nullptr && claim->proof == Proof::bytes) return true;
  if (mark != nullptr && !mark->only(repository)) return false;
  const auto* names = presumed_.find(digest);
  return names == nullptr || is_for_all(*names, registry_of(repository));
}

/// Under the lock. Whether that is news.
bool Privacy::add_mark(const Digest& digest, const Mark& from) {
  bool news = marks_.find(digest) == nullptr;
  if (news && marks_.size() >= options_.digests) make_room();
  auto& mark = marks_.touch(digest);
  for (const auto& claim : from.claims) {
    news = add_to(mark, claim) || news;
    if (claim.proof == Proof::bytes) freed_.erase(digest);
  }
  news = (from.unknown && !mark.unknown) || news;
  mark.unknown = mark.unknown || from.unknown;
  return news;
}

std::string Privacy::Mark::holder() const {
  const auto proven = std::ranges::find(claims, Proof::bytes, &Claim::proof);
  if (proven != claims.end()) return proven->repository;
  return claims.empty() ? std::string() : claims.front().repository;
}

/// Under the lock. Threat: whoever has a node pull much could push out what others keep private.
/// Several marks at once, since each time all are counted.
void Privacy::make_room() {
  std::map<std::string, std::map<std::string, std::size_t>> held;
  std::map<std::string, std::size_t> totals;
  for (const auto& [digest, mark] : marks_) {
    const auto holder = mark.holder();
    const std::string registry(registry_of(holder));
    ++held[registry][holder];
    ++totals[registry];
  }
  const auto fewer = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto& registry = std::ranges::max_element(totals, fewer)->first;
  const auto [largest, size] = *std::ranges::max_element(held[registry], fewer);
  auto left = std::min(options_.digests / 64, size / 8) + 1;
  const auto lost = marks_.erase_if([&](const auto& entry) {
    return left > 0 && entry.second.holder() == largest && left-- > 0;
  });
  log_.line(
      log::Level::warning, "full",
      fmt::format("{} digests are marked private, which is all that there is room for: the {} "
                  "of {} that weren't needed longest are no longer known as private; "
                  "authorize=strict in a --rule for it asks the registry for each read",
                  options_.digests, lost, largest.empty() ? "no known repository" : largest));
}

void Privacy::add_field(const Digest& digest, std::string_view field) {
  Mark from;
  for (const auto element : http::list_elements(field)) {
    if (from.claims.size() == options_.repositories_of_a_mark) break;
    read_word(element, from);
  }
  from.unknown = from.unknown || from.claims.empty();
  const std::lock_guard lock(mutex_);
  const auto is_public = [&](const Claim& claim) {
    const bool counts = claim.proof == Proof::bytes || from.only(claim.repository);
    return counts && audience_now(claim.repository) == Audience::everybody;
  };
  if (std::ranges::any_of(from.claims, is_public)) return;
  changed_ = add_mark(digest, from) || changed_;
}

void Privacy::clear(const Digest& digest) {
  const std::lock_guard lock(mutex_);
  changed_ = marks_.erase(digest) || changed_;
}

std::optional<Privacy::Names> Privacy::mark(const Digest& digest) {
  const std::lock_guard lock(mutex_);
  if (marks_.find(digest) == nullptr) return std::nullopt;
  Names names;
  for (const auto& claim : marks_.touch(digest).claims) names.push_back(claim.repository);
  return names;
}

bool Privacy::proven(const Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto* mark = marks_.find(digest);
  return mark != nullptr && std::ranges::any_of(mark->claims, [](const Claim& claim) {
           return claim.proof == Proof::bytes;
         });
}

std::string Privacy::field(const Names& names) {
  // Not empty even if no repository is known: the field itself is the mark.
  return names.empty() ? "unknown" : fmt::format("{}", fmt::join(names, ", "));
}

std::string Privacy::field_of(const Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto* mark = marks_.find(digest);
  return mark == nullptr ? std::string() : fmt::format("{}", fmt::join(words(*mark), ", "));
}

Privacy::Totals Privacy::totals() const {
  const std::lock_guard lock(mutex_);
  Totals totals{.marked = marks_.size()};
  for (const auto& [repository, known] : repositories_) {
    const auto audience = audience_now(repository);
    if (audience == Audience::some) ++totals.private_repositories;
    if (audience == Audience::everybody) ++totals.public_repositories;
  }
  for (const auto& [digest, names] : presumed_) {
    if (marks_.find(digest) == nullptr && !is_for_all(names, "")) ++totals.presumed;
  }
  return totals;
}

std::size_t Privacy::marked(const std::string& repository) const {
  const std::lock_guard lock(mutex_);
  return digests_of(repository).size();
}

}  // namespace hagring::registry
