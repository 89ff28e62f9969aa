// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/ahead.hpp"

#include <algorithm>
#include <span>

#include "registry/herd/herds.hpp"
#include "registry/known_sizes.hpp"

namespace hagring::herd {
namespace {

using namespace std::chrono_literals;

/// What the client asks for at once it gets by its own requests, which may go to the origin.
constexpr auto kAtOnce = 200ms;
/// Layers whose turn hasn't come are looked at again.
constexpr auto kAgain = 5s;
/// So many layers of an image runtimes ask for at a time (containerd's max_concurrent_downloads).
constexpr auto kAtATime = 3;

/// One layer beside the one that `party` is for.
awaitable<void> join_ahead(registry::MirrorParts& parts, std::shared_ptr<Party> party,
                           Digest layer) {
  auto& herds = *parts.herds;
  const auto size = parts.sizes->of(layer);
  if (!size || *size <= herds.options().small || parts.conduct.origin_first(layer)) co_return;
  HerdId id = party->id();
  id.digest = layer;
  if (const auto other = herds.find(id)) {
    co_return other->post([](Party& one) { one.keep_ahead(); });
  }
  if (!herds.may_go_ahead(*size) || co_await parts.store.open(layer)) co_return;
  auto request = party->request();
  request.digest = layer;
  request.size = size;
  bool made = false;
  co_await herds.join(parts,
                      {.id = std::move(id),
                       .request = std::move(request),
                       .facts = {.size = *size, .ahead = true},
                       .again = nullptr},
                      made);
}

/// Those of `layers` that the runtime may ask for besides. It wants all from the first on that it
/// hasn't unpacked, and asks for them in any order; when it asks for fewer than it may at a time,
/// nothing is left to be asked for before those.
std::span<const Digest> wanted_of(const std::vector<Digest>& layers, const Herds& herds,
                                  HerdId id) {
  const auto asked_for = [&](const Digest& layer) {
    id.digest = layer;
    const auto party = herds.find(id);
    return party && party->attended();
  };
  const auto first = std::ranges::find_if(layers, asked_for);
  const bool more = std::count_if(first, layers.end(), asked_for) >= kAtATime;
  return more ? std::span(layers) : std::span(first, layers.end());
}

awaitable<void> join_beside(registry::MirrorParts& parts, std::weak_ptr<Party> beside) {
  for (auto pause = Duration(kAtOnce);; pause = kAgain) {
    co_await parts.clock.sleep_for(pause);
    if (co_await asked_to_stop()) co_return;
    const auto party = beside.lock();
    if (!party || party->ended() || !party->attended()) co_return;
    const auto layers = parts.sizes->layers_with(party->id().digest);
    for (const auto& layer : wanted_of(layers, *parts.herds, party->id())) {
      if (layer == party->id().digest) continue;
      co_await join_ahead(parts, party, layer);
      if (co_await asked_to_stop()) co_return;
    }
  }
}

}  // namespace

void go_ahead(registry::MirrorParts& parts, const std::shared_ptr<Party>& party) {
  if (parts.sizes == nullptr || parts.herds->options().most_ahead == 0) return;
  parts.hooks.background(
      [&parts, beside = std::weak_ptr(party)] { return join_beside(parts, beside); });
}

}  // namespace hagring::herd
