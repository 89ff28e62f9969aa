// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/ahead.hpp"

#include <algorithm>

#include "registry/herd/herds.hpp"
#include "registry/known_sizes.hpp"

namespace hagring::herd {
namespace {

using namespace std::chrono_literals;

/// What the client asks for at once it gets by its own requests, which may go to the origin.
constexpr auto kAtOnce = 200ms;
/// Layers whose turn hasn't come are looked at again.
constexpr auto kAgain = 5s;

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

awaitable<void> join_beside(registry::MirrorParts& parts, std::weak_ptr<Party> beside) {
  for (auto pause = Duration(kAtOnce);; pause = kAgain) {
    co_await parts.clock.sleep_for(pause);
    if (co_await asked_to_stop()) co_return;
    const auto party = beside.lock();
    if (!party || party->ended() || !party->attended()) co_return;
    const auto layers = parts.sizes->layers_with(party->id().digest);
    // Runtimes ask in the manifest's order: what is before has been asked for, or isn't needed.
    auto layer = std::ranges::find(layers, party->id().digest);
    for (; layer != layers.end(); ++layer) {
      if (*layer == party->id().digest) continue;
      co_await join_ahead(parts, party, *layer);
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
