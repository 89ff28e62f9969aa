// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/provider_choice.hpp"

#include <algorithm>

namespace hagring::kad {
namespace {

/// Of one peer, at once: of the sixteen that the mirror tries, no peer chooses more.
constexpr std::size_t kAtOnce = 4;
/// Of one peer in all: as many as our own server names, itself included.
constexpr std::size_t kMostOfAReply = 65;
/// Of all peers; of those that come after, none is kept for the end.
constexpr std::size_t kMostKept = 4096;

/// The addresses in `named` that aren't in `known`.
std::vector<Multiaddr> unknown_of(const std::vector<Multiaddr>& named,
                                  const std::vector<Multiaddr>& known) {
  std::vector<Multiaddr> unknown;
  std::ranges::copy_if(named, std::back_inserter(unknown), [&known](const Multiaddr& address) {
    return std::ranges::find(known, address) == known.end();
  });
  return unknown;
}

}  // namespace

std::vector<PeerInfo> ProviderChoice::take(const std::vector<PeerInfo>& reply) {
  std::vector<std::size_t> waiting;
  const std::size_t most = named_.size() < kMostKept ? kMostOfAReply : kAtOnce;
  for (std::size_t i = 0; i < std::min(reply.size(), most); ++i) {
    if (reply[i].id != self_) note(reply[i], waiting);
  }
  // Those that others named too go first, else the reply's order holds.
  std::ranges::sort(waiting, {}, [this](std::size_t i) { return std::pair(-named_[i].times, i); });
  std::vector<PeerInfo> now;
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    if (i < kAtOnce) {
      now.push_back(hand(waiting[i]));
    } else {
      named_[waiting[i]].turn = std::min(named_[waiting[i]].turn, i - kAtOnce);
    }
  }
  return now;
}

/// Enters one provider of a reply; `waiting` are those of the reply that haven't been handed on.
void ProviderChoice::note(const PeerInfo& provider, std::vector<std::size_t>& waiting) {
  auto& places = places_[provider.id];
  PeerInfo rest = provider;
  for (const std::size_t place : places) {
    Named& known = named_[place];
    const std::size_t before = rest.addresses.size();
    rest.addresses = unknown_of(rest.addresses, known.info.addresses);
    if (rest.addresses.size() == before) continue;
    // Named twice by one peer, it isn't named by two.
    if (known.handed || std::ranges::find(waiting, place) != waiting.end()) continue;
    ++known.times;
    waiting.push_back(place);
  }
  if (rest.addresses.empty()) return;
  places.push_back(named_.size());
  waiting.push_back(named_.size());
  named_.push_back({.info = std::move(rest), .turn = kMostOfAReply});
}

std::vector<PeerInfo> ProviderChoice::rest() {
  std::vector<std::size_t> waiting;
  for (std::size_t i = 0; i < named_.size(); ++i) {
    if (!named_[i].handed) waiting.push_back(i);
  }
  std::ranges::sort(waiting, {}, [this](std::size_t i) {
    return std::tuple(-named_[i].times, named_[i].turn, i);
  });
  std::vector<PeerInfo> all;
  for (const std::size_t index : waiting) all.push_back(hand(index));
  return all;
}

PeerInfo ProviderChoice::hand(std::size_t index) {
  named_[index].handed = true;
  return named_[index].info;
}

}  // namespace hagring::kad
