// SPDX-License-Identifier: Apache-2.0
// What Privacy presumes of content without a mark, and what it knows of asking registries.
#include <boost/asio/post.hpp>

#include <algorithm>
#include <set>

#include "registry/privacy.hpp"
#include "registry/reference.hpp"
#include "userspace/http/grammar.hpp"

namespace hagring::registry {
namespace {

/// More than any node's images have; beyond it the rest isn't known.
constexpr std::size_t kMaxSources = 32;

bool is_repository_name(std::string_view name) {
  const auto reference = Reference::parse(name);
  return reference && !reference->tag && !reference->digest;
}

}  // namespace

Knowledge Privacy::knowledge(const std::string& repository) const {
  const std::lock_guard lock(mutex_);
  return knowledge_now(repository);
}

/// Under the lock.
Knowledge Privacy::knowledge_now(const std::string& repository) const {
  const auto* known = repositories_.find(repository);
  if (known == nullptr) return {};
  Knowledge knowledge{.said = known->audience,
                      .believed = audience_now(repository) != Audience::unknown,
                      .refused = known->refused};
  // That it is for some only is never forgotten: its registry may be down when it is needed.
  const bool too_old = known->until + options_.public_before < clock_.wall();
  if (knowledge.said == Audience::everybody && too_old) knowledge.said = Audience::unknown;
  if (known->retry_at > clock_.now()) knowledge.inquiry = known->inquiry;
  return knowledge;
}

void Privacy::end_inquiry(const std::string& repository, bool unreachable) {
  const std::lock_guard lock(mutex_);
  repositories_.touch(repository).inquiry =
      unreachable ? Knowledge::Inquiry::unreachable : Knowledge::Inquiry::in_vain;
  wake();
}

void Privacy::note_refusal(const std::string& repository) {
  const std::lock_guard lock(mutex_);
  repositories_.touch(repository).refused = true;
}

void Privacy::watch(std::weak_ptr<Fate> fate) {
  const std::lock_guard lock(mutex_);
  std::erase_if(watchers_, [](const auto& watcher) { return watcher.expired(); });
  watchers_.push_back(std::move(fate));
}

/// Under the lock.
void Privacy::wake() {
  for (const auto& watcher : watchers_) {
    if (const auto fate = watcher.lock()) asio::post(fate->executor(), [fate] { fate->seal(); });
  }
  watchers_.clear();
}

/// Under the lock. Whether of each registry but `except_registry` one of its repositories is for
/// everybody: what a registry shows to all under one name it keeps from nobody.
bool Privacy::is_for_all(const Names& repositories, std::string_view except_registry) const {
  std::set<std::string_view> all, open;
  for (const auto& repository : repositories) {
    const auto registry = registry_of(repository);
    if (!except_registry.empty() && registry == except_registry) continue;
    all.insert(registry);
    if (knowledge_now(repository).said == Audience::everybody) open.insert(registry);
  }
  return all.size() == open.size();
}

void Privacy::presume(const Digest& digest, const Names& repositories) {
  const std::lock_guard lock(mutex_);
  if (repositories.empty() || freed_.find(digest) != nullptr) {
    presumed_.erase(digest);
    return;
  }
  presumed_.touch(digest) = repositories;
  mark_if_kept(digest, repositories);
}

/// Under the lock.
void Privacy::mark_if_kept(const Digest& digest, const Names& repositories) {
  const bool kept = std::ranges::all_of(repositories, [&](const std::string& repository) {
    return knowledge_now(repository).said == Audience::some;
  });
  if (!kept) return;
  // Of several registries no one can speak for the others.
  const auto registry = registry_of(repositories.front());
  const bool one = std::ranges::all_of(repositories, [&](const std::string& repository) {
    return registry_of(repository) == registry;
  });
  Mark mark;
  for (const auto& repository : repositories) {
    if (mark.claims.size() == options_.repositories_of_a_mark) break;
    mark.claims.push_back({.repository = repository, .proof = one ? Proof::bytes : Proof::answer});
  }
  changed_ = add_mark(digest, mark) || changed_;
}

/// Under the lock. What was presumed of content of `repository` may be certain now.
void Privacy::mark_presumed(const std::string& repository) {
  for (const auto& [digest, names] : presumed_) {
    if (std::ranges::find(names, repository) != names.end()) mark_if_kept(digest, names);
  }
}

void Privacy::presume_field(const Digest& digest, std::string_view field) {
  if (field == kNoSource) return note_free(digest);
  Names names;
  bool all_known = true;
  for (const auto element : http::list_elements(field)) {
    const bool known = names.size() < kMaxSources && is_repository_name(element);
    if (known) names.emplace_back(element);
    all_known = all_known && known;
  }
  if (!all_known || names.empty()) names.emplace_back(kUnknownSource);
  presume(digest, names);
}

void Privacy::note_free(const Digest& digest) {
  if (!options_.peers_may_free) return;
  const std::lock_guard lock(mutex_);
  presumed_.erase(digest);
  changed_ = changed_ || freed_.find(digest) == nullptr;
  freed_.touch(digest) = true;
}

bool Privacy::came_free(const Digest& digest) const {
  const std::lock_guard lock(mutex_);
  return freed_.find(digest) != nullptr;
}

Privacy::Names Privacy::presumed(const Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto* names = presumed_.find(digest);
  return names == nullptr ? Names() : *names;
}

}  // namespace hagring::registry
