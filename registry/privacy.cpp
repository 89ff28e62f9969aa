// SPDX-License-Identifier: Apache-2.0
#include "registry/privacy.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "registry/reference.hpp"
#include "userspace/http/grammar.hpp"

namespace hagring::registry {
namespace {

/// Whether `name` is `registry/repository`.
bool is_name(std::string_view name) {
  const auto reference = Reference::parse(name);
  return reference && !reference->tag && !reference->digest;
}

}  // namespace

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
      marks_(options.digests) {}

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
  auto& known = repositories_.touch(repository);
  if (known.retry_at > clock_.now()) return false;
  known.retry_at = clock_.now() + options_.retry;
  return true;
}

void Privacy::learn(const std::string& repository, Audience audience) {
  if (audience == Audience::unknown) return;
  const std::lock_guard lock(mutex_);
  const bool is_public = audience == Audience::everybody;
  const bool news = audience_now(repository) != audience;
  auto& known = repositories_.touch(repository);
  known.audience = audience;
  known.until = clock_.wall() + (is_public ? options_.everybody : options_.some);
  changed_ = true;
  if (!is_public || !news) return;
  // What is for everybody in one place is private nowhere.
  marks_.erase_if([&](const auto& entry) {
    return std::ranges::find(entry.second.repositories, repository) !=
           entry.second.repositories.end();
  });
}

/// Whether `names` was changed.
bool Privacy::add_to(Names& names, const std::string& repository) const {
  if (std::ranges::find(names, repository) != names.end()) return false;
  if (names.size() >= options_.repositories_of_a_mark) names.erase(names.begin());
  names.push_back(repository);
  return true;
}

void Privacy::add(const Digest& digest, const std::string& repository) {
  const std::lock_guard lock(mutex_);
  if (audience_now(repository) == Audience::everybody) {
    changed_ = marks_.erase(digest) || changed_;
    return;
  }
  changed_ = add_mark(digest, {repository}) || changed_;
}

/// Under the lock. Whether that is news.
bool Privacy::add_mark(const Digest& digest, const Names& names) {
  bool news = marks_.find(digest) == nullptr;
  auto& mark = marks_.touch(digest);
  for (const auto& name : names) news = add_to(mark.repositories, name) || news;
  return news;
}

void Privacy::add_field(const Digest& digest, std::string_view field) {
  Names names;
  for (const auto element : http::list_elements(field)) {
    if (names.size() == options_.repositories_of_a_mark) break;
    if (is_name(element)) names.emplace_back(element);
  }
  const std::lock_guard lock(mutex_);
  const auto is_public = [this](const std::string& name) {
    return audience_now(name) == Audience::everybody;
  };
  if (std::ranges::any_of(names, is_public)) return;
  changed_ = add_mark(digest, names) || changed_;
}

void Privacy::clear(const Digest& digest) {
  const std::lock_guard lock(mutex_);
  changed_ = marks_.erase(digest) || changed_;
}

std::optional<Privacy::Names> Privacy::mark(const Digest& digest) {
  const std::lock_guard lock(mutex_);
  if (marks_.find(digest) == nullptr) return std::nullopt;
  return marks_.touch(digest).repositories;
}

std::string Privacy::field(const Names& names) {
  // Not empty even if no repository is known: the field itself is the mark.
  return names.empty() ? "unknown" : fmt::format("{}", fmt::join(names, ", "));
}

Privacy::Totals Privacy::totals() const {
  const std::lock_guard lock(mutex_);
  Totals totals{.marked = marks_.size()};
  for (const auto& [repository, known] : repositories_) {
    const auto audience = audience_now(repository);
    if (audience == Audience::some) ++totals.private_repositories;
    if (audience == Audience::everybody) ++totals.public_repositories;
  }
  return totals;
}

std::size_t Privacy::marked(const std::string& repository) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::ranges::count_if(marks_, [&](const auto& entry) {
    return std::ranges::find(entry.second.repositories, repository) !=
           entry.second.repositories.end();
  }));
}

}  // namespace hagring::registry
