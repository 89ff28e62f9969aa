// SPDX-License-Identifier: Apache-2.0
#include "dht/joiner.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "dht/kad_streams.hpp"
#include "userspace/base/log.hpp"

namespace hagring::dht {
namespace {

constexpr std::string_view kPart = "dht";
/// How often it is looked whether anybody is known.
constexpr auto kTick = std::chrono::milliseconds(500);

}  // namespace

kad::PeerInfo kad_info(const Host& host, const PeerId& peer) {
  kad::PeerInfo info{to_kad(peer), {}};
  const auto* about = host.about(peer);
  if (about != nullptr && serves_kad(*about)) info.addresses = to_kad(about->addresses);
  return info;
}

Joiner::Joiner(asio::any_io_executor executor, Clock& clock, kad::Rng& rng, Host& host,
               kad::KadNode& node, Bootstrap& bootstrap, Options options)
    : clock_(clock),
      rng_(rng),
      host_(host),
      node_(node),
      bootstrap_(bootstrap),
      options_(options),
      greetings_(std::move(executor), "bootstrap") {}

awaitable<void> Joiner::run() {
  auto next = clock_.now();
  auto retry = options_.first_retry;
  bool was_alone = true;
  while (!co_await asked_to_stop()) {
    const bool alone = node_.is_cut_off();
    if (alone && !was_alone) {
      log::warning(kPart, "no node of the mesh answers any more: the bootstrap is asked again");
      next = clock_.now();
      retry = options_.first_retry;
    }
    was_alone = alone;
    if (clock_.now() < next) {
      co_await clock_.sleep_until(std::min(next, clock_.now() + kTick));
      continue;
    }
    co_await round();
    // Not in step with all the nodes that started together.
    const double share = 0.75 + rng_.fraction() / 2;
    const auto wait = node_.is_cut_off() ? retry : options_.repeat;
    next = clock_.now() + std::chrono::duration_cast<Duration>(wait * share);
    retry = std::min(retry * 2, options_.longest_retry);
  }
}

void Joiner::stop() {
  stopped_ = true;
  bootstrap_.stop();
  greetings_.cancel();
}

awaitable<void> Joiner::round() {
  const auto found = co_await candidates();
  std::vector<kad::PeerInfo> seeds;
  last_error_.clear();
  if (stopped_) co_return;
  for (const auto& candidate : found) {
    greetings_.spawn([this, candidate, &seeds] { return greet(candidate, seeds); });
  }
  co_await greetings_.drain();
  if (stopped_ || co_await asked_to_stop()) co_return;
  const bool alone = node_.is_cut_off();
  if (seeds.empty()) {
    if (alone) tell_failure(found.size());
    co_return;
  }
  const bool joined = co_await node_.join(std::move(seeds));
  if (!alone || !joined) co_return;
  told_ = Told::nothing;
  log::info(kPart, "joined the mesh: {} nodes known", node_.table().size());
}

/// What the sources name, without ourselves, in an order that chance decides.
awaitable<std::vector<BootstrapPeer>> Joiner::candidates() {
  auto found = co_await bootstrap_.gather();
  const auto own = host_.addresses();
  std::erase_if(found, [&](const BootstrapPeer& candidate) {
    return std::ranges::find(own, Multiaddr::of(candidate.address)) != own.end();
  });
  for (std::size_t i = 0; i < found.size(); ++i) {
    std::swap(found[i], found[i + rng_.below(found.size() - i)]);
  }
  if (found.size() > options_.greeted) found.resize(options_.greeted);
  co_return found;
}

awaitable<void> Joiner::greet(BootstrapPeer candidate, std::vector<kad::PeerInfo>& seeds) {
  const auto peer = co_await host_.connect(candidate.address, candidate.peer);
  const auto address = Multiaddr::of(candidate.address);
  if (!peer) {
    last_error_ = fmt::format("{}: {}", address.to_string(), peer.error().message());
    log::debug(kPart, "bootstrap: {}", last_error_);
    co_return;
  }
  if (*peer == host_.peer_id()) co_return;
  auto info = kad_info(host_, *peer);
  const auto known = to_kad(address);
  if (std::ranges::find(info.addresses, known) == info.addresses.end()) {
    info.addresses.insert(info.addresses.begin(), known);
  }
  seeds.push_back(std::move(info));
}

void Joiner::tell_failure(std::size_t tried) {
  // Without an error it was ourselves.
  const auto now = last_error_.empty() ? Told::names_nobody : Told::nobody_answers;
  if (bootstrap_.empty() || std::exchange(told_, now) == now) return;
  if (now == Told::names_nobody) {
    log::info(kPart, "the bootstrap names nobody but this node; it is asked again");
    return;
  }
  log::warning(
      kPart,
      "none of {} bootstrap addresses lets us in, the last being {}. Check that a node "
      "listens there, that it has the same mesh key, and that no firewall or NetworkPolicy "
      "is between; it is tried again",
      tried, last_error_);
}

}  // namespace hagring::dht
