// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "registry/herd/batch.hpp"

namespace hagring::herd {
namespace {

/// Different signed hashes that one piece may have: one for each head there was, within reason.
constexpr std::size_t kMostHeads = 8;
/// Heads that the coordinator named, the latest of them.
constexpr std::size_t kMostNamed = 32;
/// Batches of heads that no order has named yet. A parent sends one a stripe, and then the pieces.
constexpr std::size_t kMostUnknown = 16;
/// How far ahead of the pieces that were taken a batch may be, in pieces of the stripe.
constexpr std::uint64_t kMostAhead = 4 * kMaxBatch;

const PieceHash& hash_at(const Batch& batch, std::uint64_t index) {
  return batch.hashes[index - batch.first];
}

}  // namespace

Ledger::Ledger(HerdId herd, NodeId self, Notary& notary)
    : herd_(std::move(herd)), self_(std::move(self)), notary_(notary) {}

std::vector<Ledger::Shared> Ledger::all_covering(Stripe stripe, std::uint64_t index) const {
  const Entries& entries = entries_[stripe];
  std::vector<Shared> found;
  auto at = entries.lower_bound(index >= kMaxBatch ? index - kMaxBatch + 1 : 0);
  for (; at != entries.end() && at->first <= index; ++at) {
    if (index - at->first < at->second->hashes.size()) found.push_back(at->second);
  }
  return found;
}

bool Ledger::known(const Batch& batch) const {
  const auto [begin, end] = entries_[batch.stripe].equal_range(batch.first);
  return std::any_of(begin, end, [&](const auto& each) { return *each.second == batch; });
}

Verdict Ledger::take(const Batch& batch) {
  if (batch.stripe >= kStripes || batch.hashes.empty() || batch.hashes.size() > kMaxBatch) {
    return Verdict::bad_signature;
  }
  if (known(batch)) return Verdict::good;
  // Threat: a parent that sends batches without end, each of them signed by itself.
  if (batch.first > taken_[batch.stripe] + kMostAhead ||
      all_covering(batch.stripe, batch.first).size() >= kMostHeads) {
    return Verdict::over_limit;
  }
  // Threat: the same in the names of heads that it makes up.
  std::size_t unknown = 0;
  for (const auto& [head, count] : unknown_) unknown += count;
  if (!is_named(batch.head) && unknown >= kMostUnknown) return Verdict::over_limit;
  if (!notary_.verify(batch.head, signed_bytes(herd_, batch), batch.signature)) {
    return Verdict::bad_signature;
  }
  if (!is_named(batch.head)) ++unknown_[batch.head];
  entries_[batch.stripe].emplace(batch.first, std::make_shared<const Batch>(batch));
  return Verdict::good;
}

void Ledger::choose(Stripe stripe, std::uint64_t index, Shared batch) {
  const auto [place, added] = chosen_[stripe].emplace(index, std::move(batch));
  if (added) signers_.insert(place->second->head);
  taken_[stripe] = std::max(taken_[stripe], index + 1);
}

Verdict Ledger::check(Stripe stripe, std::uint64_t index, const PieceHash& hash) {
  const auto batches = all_covering(stripe, index);
  if (batches.empty()) return Verdict::unsigned_piece;
  auto verdict = Verdict::wrong;
  for (const Shared& batch : batches) {
    if (hash_at(*batch, index) != hash) continue;
    verdict = Verdict::unknown_head;
    if (!is_named(batch->head)) continue;
    choose(stripe, index, batch);
    return Verdict::good;
  }
  return verdict;
}

Batch Ledger::seal(Stripe stripe) {
  Batch batch = std::move(open_[stripe]);
  open_[stripe] = {};
  batch.head = self_;
  batch.stripe = stripe;
  batch.signature = notary_.sign(signed_bytes(herd_, batch));
  const auto shared = std::make_shared<const Batch>(batch);
  entries_[stripe].emplace(batch.first, shared);
  for (std::size_t i = 0; i < batch.hashes.size(); ++i) choose(stripe, batch.first + i, shared);
  return batch;
}

std::vector<Batch> Ledger::fetched(std::uint64_t epoch, Stripe stripe, std::uint64_t index,
                                   const PieceHash& hash, bool flush) {
  std::vector<Batch> sealed;
  Batch& open = open_[stripe];
  const bool follows = open.epoch == epoch && open.first + open.hashes.size() == index;
  if (!open.hashes.empty() && !follows) sealed.push_back(seal(stripe));
  if (open.hashes.empty()) {
    open.epoch = epoch;
    open.first = index;
  }
  open.hashes.push_back(hash);
  if (flush || open.hashes.size() == kMaxBatch) sealed.push_back(seal(stripe));
  return sealed;
}

std::vector<Batch> Ledger::flush() {
  std::vector<Batch> sealed;
  for (Stripe s = 0; s < kStripes; ++s) {
    if (!open_[s].hashes.empty()) sealed.push_back(seal(s));
  }
  return sealed;
}

const Batch* Ledger::covering(Stripe stripe, std::uint64_t index) const {
  // Another batch that covers the piece may say something else than what the spool holds.
  if (const auto found = chosen_[stripe].find(index); found != chosen_[stripe].end()) {
    return found->second.get();
  }
  const auto batches = all_covering(stripe, index);
  return batches.empty() ? nullptr : batches.front().get();  // entries_ owns it
}

std::vector<NodeId> Ledger::signers() const {
  std::vector<NodeId> others(signers_.begin(), signers_.end());
  std::erase(others, self_);
  return others;
}

bool Ledger::is_named(const NodeId& head) const {
  return head == self_ || std::find(named_.begin(), named_.end(), head) != named_.end();
}

void Ledger::named(const NodeId& head) {
  if (head.empty() || is_named(head)) return;
  if (named_.size() >= kMostNamed) named_.erase(named_.begin());
  named_.push_back(head);
  unknown_.erase(head);
}

std::vector<std::shared_ptr<const Batch>> Ledger::testimony() const {
  std::vector<Shared> words;
  for (const auto& chosen : chosen_) {
    for (const auto& [index, batch] : chosen) {
      const bool again = !words.empty() && words.back() == batch;
      if (!again && batch->head != self_) words.push_back(batch);
    }
  }
  return words;
}

}  // namespace hagring::herd
