// SPDX-License-Identifier: Apache-2.0
#include "dht/kad/kad_node.hpp"

#include <algorithm>

#include "dht/kad/snapshot_bytes.hpp"

namespace hagring::kad {
namespace {

constexpr std::string_view kMagic = "HKN1";
/// How often records past their time are freed.
constexpr Duration kCollect = std::chrono::minutes(1);
/// So many failures in a row, and nobody who answered, are no coincidence.
constexpr std::size_t kCutOffAfter = 8;
/// A snapshot's peers: more are not asked at a start.
constexpr std::size_t kMaxRemembered = 256;

std::vector<Bytes> wire_keys(const std::vector<std::string>& keys) {
  std::vector<Bytes> wire;
  wire.reserve(keys.size());
  for (const std::string& key : keys) wire.push_back(content_wire_key(key));
  return wire;
}

}  // namespace

KadNode::KadNode(asio::any_io_executor executor, Clock& clock, Rng& rng, Rpc& rpc,
                 const PeerId& self, KadOptions options)
    : executor_(executor),
      clock_(clock),
      lookups_(options.lookups),
      rpc_(rpc, options.allowed),
      table_(self, options.table),
      records_(clock, options.records),
      keeper_(executor, clock, rng, rpc_, table_, options.keeper, options.lookups),
      provider_(executor, clock, rng, rpc_, keeper_, table_, options.own_addresses, options.lookups,
                options.providing),
      server_(rng, table_, records_, provider_.keys(),
              {.closer_peers = options.lookups.k,
               .allowed = options.allowed,
               .own_addresses = options.own_addresses}) {}

Result<std::optional<Message>> KadNode::handle(PeerInfo sender, const Message& request) {
  const PeerId id = sender.id;
  const Ip remote = rpc_.remote(sender);
  // One that tells us many keys, one after the other, is looked at once.
  if (request.type != MessageType::add_provider || id != last_sender_) {
    last_sender_ = id;
    consider(std::move(sender));
  }
  return server_.handle(id, request, remote);
}

void KadNode::consider(PeerInfo peer) {
  if (peer.addresses.empty()) return;
  keeper_.consider(rpc_.dialable(std::move(peer)));
}

awaitable<bool> KadNode::join(std::vector<PeerInfo> seeds) {
  std::move(remembered_.begin(), remembered_.end(), std::back_inserter(seeds));
  remembered_.clear();
  for (PeerInfo& seed : seeds) seed = rpc_.dialable(std::move(seed));
  return keeper_.join(std::move(seeds));
}

awaitable<void> KadNode::run() {
  TaskGroup tasks(executor_, "Kademlia");
  tasks.spawn([this] { return keeper_.run(); });
  tasks.spawn([this] { return provider_.run(); });
  co_await collect_records();
  tasks.cancel();
  co_await tasks.drain();
}

awaitable<void> KadNode::collect_records() {
  while (!co_await asked_to_stop()) {
    co_await clock_.sleep_for(kCollect);
    records_.collect();
  }
}

awaitable<void> KadNode::stop() { return keeper_.stop(); }

void KadNode::provide(const std::vector<std::string>& keys) { provider_.provide(wire_keys(keys)); }

void KadNode::withdraw(const std::vector<std::string>& keys) {
  provider_.withdraw(wire_keys(keys));
}

bool KadNode::provides(std::string_view key) const {
  return provider_.keys().contains(Key::of(content_wire_key(key)));
}

awaitable<LookupResult> KadNode::find_providers(std::string key, OnProvider on_provider) {
  Bytes wire_key = content_wire_key(key);
  const Key target = Key::of(wire_key);
  auto held = records_.find(target);
  std::erase_if(held, [](const PeerInfo& provider) { return provider.addresses.empty(); });
  Lookup lookup(executor_, clock_, rpc_, table_.self(), lookups_, keeper_.observer());
  co_return co_await lookup.find_providers(std::move(wire_key), table_.nearest(target, lookups_.k),
                                           std::move(held), std::move(on_provider));
}

awaitable<LookupResult> KadNode::find_nearest(Bytes wire_key) {
  auto seeds = table_.nearest(Key::of(wire_key), lookups_.k);
  auto options = lookups_;
  options.follow_up = false;
  Lookup lookup(executor_, clock_, rpc_, table_.self(), options, keeper_.observer());
  co_return co_await lookup.find_nearest(std::move(wire_key), std::move(seeds));
}

std::vector<PeerInfo> KadNode::held_providers(std::string_view key) const {
  return records_.find(Key::of(content_wire_key(key)));
}

bool KadNode::is_cut_off() const {
  return table_.size() == 0 || rpc_.failures_in_a_row() >= std::max(kCutOffAfter, table_.size());
}

Bytes KadNode::snapshot() const {
  Bytes out(kMagic.begin(), kMagic.end());
  put_counted(out, records_.snapshot(), 4);
  put_counted(out, provider_.snapshot(), 4);
  const auto peers = table_.peers();
  put(out, peers.size(), 2);
  for (const PeerInfo& peer : peers) {
    put_counted(out, peer.id.bytes(), 1);
    put(out, peer.addresses.size(), 1);
    for (const Multiaddr& address : peer.addresses) put_counted(out, address.bytes(), 2);
  }
  return out;
}

Result<void> KadNode::restore(ByteView snapshot) {
  SnapshotSource source(snapshot);
  if (as_text(source.bytes(kMagic.size())) != kMagic) return Errc::bad_message;
  const auto records = records_.restore(source.counted(4));
  const auto told = provider_.restore(source.counted(4));
  for (std::uint64_t left = source.number(2); left > 0 && !source.failed(); --left) {
    const auto id = PeerId::from_bytes(source.counted(1));
    PeerInfo peer;
    for (std::uint64_t count = source.number(1); count > 0 && !source.failed(); --count) {
      const ByteView address = source.counted(2);
      if (peer.addresses.size() < kMaxAddresses) peer.addresses.emplace_back(address);
    }
    if (source.failed() || !id) return Errc::bad_message;
    peer.id = *id;
    if (remembered_.size() < kMaxRemembered) remembered_.push_back(std::move(peer));
  }
  CHECK_OK(records);
  CHECK_OK(told);
  if (source.failed()) return Errc::bad_message;
  return {};
}

}  // namespace hagring::kad
