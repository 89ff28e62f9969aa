// SPDX-License-Identifier: Apache-2.0
#include "registry/conduct.hpp"

#include <algorithm>

namespace hagring::registry {

void Conduct::wrong_digest(const Digest& digest, const std::vector<std::string>& peers,
                           bool alone) {
  const auto now = clock_.now();
  const std::lock_guard lock(mutex_);
  std::erase_if(origin_first_, [&](const auto& entry) { return entry.second <= now; });
  const auto until = now + (alone ? options_.ban : options_.suspicion);
  for (const auto& peer : peers) {
    ban(peer, until,
        (alone ? "sent wrong content for " : "sent a part of wrong content for ") +
            digest.to_string());
  }
  if (origin_first_.size() < options_.capacity) {
    origin_first_.insert_or_assign(digest, now + options_.origin_first);
  }
}

/// Under the lock.
void Conduct::ban(const std::string& peer, TimePoint until, std::string reason) {
  std::erase_if(bans_,
                [now = clock_.now()](const auto& entry) { return entry.second.until <= now; });
  if (bans_.size() >= options_.capacity && !bans_.contains(peer)) return;
  auto& ban = bans_[peer];
  if (ban.until < until) ban = {until, std::move(reason)};
}

void Conduct::lied(const std::string& peer, std::string reason) {
  const std::lock_guard lock(mutex_);
  ban(peer, clock_.now() + options_.ban, std::move(reason));
}

void Conduct::signed_false(const std::string& peer, const Digest& digest) {
  const auto now = clock_.now();
  const std::lock_guard lock(mutex_);
  std::erase_if(strikes_, [&](const auto& entry) { return entry.second.until <= now; });
  const auto former = strikes_.find(peer);
  const bool again = former != strikes_.end() && former->second.digest != digest;
  if (former == strikes_.end() && strikes_.size() < options_.capacity) {
    strikes_.emplace(peer, Strike{digest, now + options_.ban});
  }
  ban(peer, now + (again ? options_.ban : options_.suspicion),
      "signed wrong pieces of " + digest.to_string());
}

void Conduct::out_of_reach(const std::string& peer, std::string reason) {
  const auto now = clock_.now();
  const std::lock_guard lock(mutex_);
  const auto pause = pauses_.find(peer);
  if (pause == pauses_.end()) {
    if (pauses_.size() >= options_.capacity) pauses_.erase(pauses_.begin());
    pauses_.emplace(peer,
                    Pause{now + options_.first_pause, options_.first_pause, std::move(reason)});
  } else if (pause->second.trying) {
    const auto length = std::min(pause->second.length * 2, options_.longest_pause);
    pause->second = {now + length, length, std::move(reason)};
  }
  // Else it was asked before it was known: many requests find it out together.
}

void Conduct::in_reach(const std::string& peer) {
  const std::lock_guard lock(mutex_);
  pauses_.erase(peer);
}

bool Conduct::may_ask(const std::string& peer) {
  if (banned(peer)) return false;
  const auto now = clock_.now();
  const std::lock_guard lock(mutex_);
  const auto pause = pauses_.find(peer);
  if (pause == pauses_.end()) return true;
  if (pause->second.until > now) return false;
  pause->second.until = now + options_.trial;
  pause->second.trying = true;
  return true;
}

bool Conduct::banned(const std::string& peer) const {
  const std::lock_guard lock(mutex_);
  const auto ban = bans_.find(peer);
  return ban != bans_.end() && ban->second.until > clock_.now();
}

bool Conduct::origin_first(const Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto entry = origin_first_.find(digest);
  return entry != origin_first_.end() && entry->second > clock_.now();
}

std::vector<Conduct::Shunned> Conduct::banned() const {
  const auto now = clock_.now();
  const std::lock_guard lock(mutex_);
  std::vector<Shunned> result;
  for (const auto& [peer, ban] : bans_) {
    if (ban.until > now) result.push_back({peer, ban.until - now, ban.reason});
  }
  return result;
}

std::vector<Conduct::Shunned> Conduct::paused() const {
  const auto now = clock_.now();
  const std::lock_guard lock(mutex_);
  std::vector<Shunned> result;
  for (const auto& [peer, pause] : pauses_) {
    result.push_back({peer, std::max(pause.until - now, Duration::zero()), pause.reason});
  }
  return result;
}

}  // namespace hagring::registry
