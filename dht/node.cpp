// SPDX-License-Identifier: Apache-2.0
#include "dht/node.hpp"

#include <algorithm>
#include <random>

#include "userspace/base/background_file.hpp"
#include "userspace/base/log.hpp"

namespace hagring::dht {
namespace {

constexpr std::string_view kPart = "dht";
/// 400,000 records (kad::ProviderStoreOptions) take about 40 MB.
constexpr std::size_t kMaxRecords = std::size_t{256} << 20;

std::uint64_t random_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

}  // namespace

struct Node::State {
  State(asio::any_io_executor on, Clock& with, const Identity& identity, Dialer& dialer,
        Resolver& resolver, NodeOptions given);

  kad::KadOptions kad_options();
  BootstrapOptions bootstrap_options();
  std::optional<Provider> provider(const kad::PeerInfo& info) const;
  std::vector<asio::ip::address> dialable(const std::vector<kad::Multiaddr>& addresses) const;

  awaitable<void> keep_records();
  void read_records();

  const asio::any_io_executor executor;
  Clock& clock;
  const NodeOptions options;
  kad::Rng rng{random_seed()};
  Host host;
  KadStreams streams;
  kad::KadNode kademlia;
  Bootstrap bootstrap;
  Joiner joiner;
  BackgroundFile records;
  bool started = false;  ///< and so has read what it is to write again
  TaskGroup tasks;
};

Node::State::State(asio::any_io_executor on, Clock& with, const Identity& identity, Dialer& dialer,
                   Resolver& resolver, NodeOptions given)
    : executor(std::move(on)),
      clock(with),
      options(std::move(given)),
      host(executor, clock, identity, dialer, options.host),
      streams(clock, host, options.streams),
      kademlia(executor, clock, rng, streams, dht::to_kad(identity.peer_id()), kad_options()),
      bootstrap(executor, clock, resolver, dialer, bootstrap_options()),
      joiner(executor, clock, rng, host, kademlia, bootstrap, options.joining),
      records(options.records_file, "provider records", "dht", kMaxRecords),
      tasks(executor, std::string(kPart)) {
  streams.serve([this](const PeerId& sender, const kad::Message& request) {
    return kademlia.handle(kad_info(host, sender), request);
  });
  host.on_identified([this](const PeerId& peer, const PeerAbout& about) {
    if (serves_kad(about)) kademlia.consider({dht::to_kad(peer), to_kad(about.addresses)});
  });
}

kad::KadOptions Node::State::kad_options() {
  auto result = options.kad;
  result.own_addresses = [this] { return to_kad(host.addresses()); };
  result.allowed = [this](const kad::Multiaddr& address) { return !dialable({address}).empty(); };
  return result;
}

BootstrapOptions Node::State::bootstrap_options() {
  auto result = options.bootstrap;
  result.may_dial = options.host.may_dial;
  return result;
}

/// The IP addresses among `addresses` that may be dialled, each once.
std::vector<asio::ip::address> Node::State::dialable(
    const std::vector<kad::Multiaddr>& addresses) const {
  std::vector<asio::ip::address> found;
  for (const auto& address : addresses) {
    const auto known = from_kad(address);
    const auto endpoint = known ? known->tcp_endpoint() : std::nullopt;
    if (!endpoint || (options.host.may_dial && !options.host.may_dial(endpoint->address()))) {
      continue;
    }
    if (std::ranges::find(found, endpoint->address()) == found.end()) {
      found.push_back(endpoint->address());
    }
  }
  return found;
}

std::optional<Provider> Node::State::provider(const kad::PeerInfo& info) const {
  const auto peer = from_kad(info.id);
  auto addresses = dialable(info.addresses);
  if (!peer || addresses.empty()) return std::nullopt;
  // The one that is known to lead there comes first.
  if (const auto proven = host.remote_address(*peer)) {
    const auto place = std::ranges::find(addresses, *proven);
    if (place != addresses.end()) std::rotate(addresses.begin(), place, place + 1);
  }
  return Provider{*peer, std::move(addresses)};
}

awaitable<void> Node::State::keep_records() {
  while (!co_await asked_to_stop()) {
    co_await clock.sleep_for(options.save);
    records.save(kademlia.snapshot());
  }
}

void Node::State::read_records() {
  const auto snapshot = records.load();
  if (!snapshot && snapshot.error() == Errc::not_found) return;
  const auto restored = snapshot ? kademlia.restore(*snapshot) : Result<void>(snapshot.error());
  if (restored) return;
  log::warning(kPart,
               "{}: the provider records of the last run can't be read ({}); the mesh will tell "
               "them again",
               records.path().string(), restored.error().message());
}

Node::Node(asio::any_io_executor executor, Clock& clock, const Identity& identity, Dialer& dialer,
           Resolver& resolver, NodeOptions options)
    : state_(std::make_unique<State>(std::move(executor), clock, identity, dialer, resolver,
                                     std::move(options))) {}

Node::~Node() = default;

void Node::bind() { state_->host.bind(); }

void Node::start() {
  state_->started = true;
  state_->read_records();
  state_->host.start();
  // Those that the last run knew are asked beside the bootstrap: they may all be gone.
  state_->tasks.spawn([this]() -> awaitable<void> { co_await state_->kademlia.join({}); });
  state_->tasks.spawn([this] { return state_->joiner.run(); });
  state_->tasks.spawn([this] { return state_->kademlia.run(); });
  state_->tasks.spawn([this] { return state_->streams.sweep(); });
  state_->tasks.spawn([this] { return state_->keep_records(); });
}

awaitable<void> Node::stop() {
  // Before the end: queries that it cuts short would look like peers that don't answer.
  if (state_->started) state_->records.save(state_->kademlia.snapshot());
  state_->tasks.cancel();
  state_->joiner.stop();
  co_await state_->tasks.drain();
  co_await state_->kademlia.stop();
  co_await state_->host.stop();
  state_->records.finish();
}

void Node::provide(const std::vector<std::string>& keys) { state_->kademlia.provide(keys); }

void Node::withdraw(const std::vector<std::string>& keys) { state_->kademlia.withdraw(keys); }

bool Node::provides(std::string_view key) const { return state_->kademlia.provides(key); }

awaitable<kad::LookupResult> Node::find_providers(std::string key, OnProvider on_provider) {
  co_return co_await state_->kademlia.find_providers(
      std::move(key), [this, told = std::move(on_provider)](const kad::PeerInfo& info) {
        const auto provider = state_->provider(info);
        return provider ? told(*provider) : true;
      });
}

void Node::serve(std::string protocol, Host::StreamHandler handler) {
  state_->host.serve(std::move(protocol), std::move(handler));
}

awaitable<Result<std::unique_ptr<ByteStream>>> Node::open(PeerId peer, std::string protocol) {
  std::vector<Multiaddr> addresses;
  if (const auto* entry = state_->kademlia.table().find(dht::to_kad(peer))) {
    for (const auto& address : entry->peer.addresses) {
      if (auto known = from_kad(address)) addresses.push_back(std::move(*known));
    }
  }
  return state_->host.open(std::move(peer), std::move(addresses), std::move(protocol));
}

std::vector<PeerId> Node::nearest(const kad::Key& place, std::size_t count) const {
  std::vector<PeerId> found;
  for (const auto& info : state_->kademlia.table().nearest(place, count)) {
    if (const auto peer = from_kad(info.id)) found.push_back(*peer);
  }
  return found;
}

bool Node::knows_everybody() const { return state_->kademlia.table().is_complete(); }

awaitable<Result<std::vector<PeerId>>> Node::find_nearest(std::string name) {
  const auto bytes = as_bytes(name);
  const auto result = co_await state_->kademlia.find_nearest(Bytes(bytes.begin(), bytes.end()));
  std::vector<PeerId> found;
  for (const auto& info : result.nearest) {
    if (const auto peer = from_kad(info.id)) found.push_back(*peer);
  }
  co_return found;
}

std::vector<PeerId> Node::known_providers(std::string_view key) const {
  std::vector<PeerId> known;
  for (const auto& info : state_->kademlia.held_providers(key)) {
    if (const auto peer = from_kad(info.id)) known.push_back(*peer);
  }
  return known;
}

std::optional<bool> Node::serves(const PeerId& peer, std::string_view protocol) const {
  const auto* about = state_->host.about(peer);
  if (about == nullptr) return std::nullopt;
  return std::ranges::find(about->protocols, protocol) != about->protocols.end();
}

std::vector<asio::ip::address> Node::places_of(const PeerId& peer) const {
  kad::PeerInfo info{.id = dht::to_kad(peer), .addresses = {}};
  if (const auto* entry = state_->kademlia.table().find(info.id)) info = entry->peer;
  if (const auto known = state_->provider(info)) return known->addresses;
  const auto remote = state_->host.remote_address(peer);
  if (!remote || (state_->options.host.may_dial && !state_->options.host.may_dial(*remote))) {
    return {};
  }
  return {*remote};
}

const PeerId& Node::peer_id() const { return state_->host.peer_id(); }

asio::ip::tcp::endpoint Node::endpoint() const { return state_->host.endpoint(); }

NodeStatus Node::status() const {
  const auto& kademlia = state_->kademlia;
  NodeStatus status{.peer_id = peer_id().to_string(),
                    .closed = state_->options.host.network_key.has_value(),
                    .records = kademlia.records().records(),
                    .record_keys = kademlia.records().keys(),
                    .provided_keys = kademlia.provided_keys(),
                    .untold_keys = kademlia.untold_keys(),
                    .host = state_->host.counters()};
  for (const auto& address : state_->host.addresses()) {
    status.addresses.push_back(address.to_string());
  }
  const auto now = state_->clock.now();
  for (const auto& info : kademlia.table().peers()) {
    const auto peer = from_kad(info.id);
    const auto* entry = kademlia.table().find(info.id);
    if (!peer || entry == nullptr) continue;
    NodeStatus::TablePeer shown{.peer_id = peer->to_string(),
                                .silent = now - entry->answered,
                                .connected = state_->host.connected(*peer)};
    for (const auto& address : info.addresses) {
      if (const auto known = from_kad(address)) shown.addresses.push_back(known->to_string());
    }
    status.table.push_back(std::move(shown));
  }
  return status;
}

}  // namespace hagring::dht
