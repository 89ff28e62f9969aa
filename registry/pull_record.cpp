// SPDX-License-Identifier: Apache-2.0
#include "registry/pull_record.hpp"

#include <algorithm>

namespace hagring::registry {

std::string_view to_string(PullSource source) {
  switch (source) {
    case PullSource::local:
      return "local";
    case PullSource::peer:
      return "peer";
    case PullSource::herd:
      return "herd";
    case PullSource::origin:
      return "origin";
    case PullSource::passthrough:
      return "passthrough";
    case PullSource::none:
      break;
  }
  return "none";
}

std::string_view to_string(PullKind kind) {
  switch (kind) {
    case PullKind::manifest:
      return "manifest";
    case PullKind::blob:
      return "blob";
    case PullKind::other:
      break;
  }
  return "other";
}

void make_showable(Pull& pull) {
  constexpr std::size_t kMaxText = 512;
  for (auto* text : {&pull.registry, &pull.repository, &pull.reference, &pull.content, &pull.method,
                     &pull.peers, &pull.note}) {
    if (text->size() > kMaxText) text->resize(kMaxText);
    std::ranges::replace_if(*text, [](char c) { return c < ' ' || c > '~'; }, '?');
  }
}

void PullRecord::add(Pull pull) {
  make_showable(pull);
  const std::lock_guard lock(mutex_);
  auto& totals = totals_[static_cast<std::size_t>(pull.source)];
  ++totals.requests;
  totals.bytes += pull.bytes;
  pulls_.push_front(std::move(pull));
  if (pulls_.size() > capacity_) pulls_.pop_back();
}

std::vector<Pull> PullRecord::recent() const {
  const std::lock_guard lock(mutex_);
  return {pulls_.begin(), pulls_.end()};
}

PullRecord::Totals PullRecord::totals(PullSource source) const {
  const std::lock_guard lock(mutex_);
  return totals_[static_cast<std::size_t>(source)];
}

}  // namespace hagring::registry
