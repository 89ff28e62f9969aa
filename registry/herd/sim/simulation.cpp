// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/sim/simulation.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "registry/herd/sim/node.hpp"
#include "userspace/base/hasher.hpp"

namespace hagring::herd::sim {
namespace {

/// Pieces on their way that a sender doesn't know to have arrived, as TCP's window.
constexpr unsigned kWindow = 8;
constexpr auto kLimit = std::chrono::seconds(120);
constexpr auto kWatch = milliseconds(5);
/// Two may fetch the same blob for this long, while one takes over from the other.
constexpr auto kTakeover = milliseconds(2500);

}  // namespace

Simulation::Simulation(SimulationOptions options)
    : options_(std::move(options)), rng_(options_.seed), begin_(events_.now()) {
  const auto chance = [&] { return static_cast<double>(rng_() >> 11) * 0x1p-53; };
  for (std::size_t i = 0; i < options_.nodes; ++i) {
    const bool slow =
        options_.slow_share > 0 && i % static_cast<std::size_t>(1 / options_.slow_share) == 1;
    nodes_.push_back(std::make_unique<Node>(*this, i, fmt::format("node {}", i),
                                            slow ? options_.rate / 4 : options_.rate));
    Node& node = *nodes_.back();
    if (slow) node.set_slow(options_.slow_known);
    // The first may always: a herd in which nobody may is of no use.
    node.may_fetch = i % options_.zones == i || chance() >= options_.no_credentials;
    node.units = chance() < options_.upload_capped ? 0 : 2;
    node.zone = i % options_.zones;
    node.partitioned = chance() < 1.0 / 3;
  }
  for (std::size_t layer = 0; layer < options_.layers.size(); ++layer) {
    const std::string name = fmt::format("{} {}", options_.seed, layer);
    const auto digest = Digest::parse("sha256:" + to_hex(sha256(as_bytes(name))));
    for (std::size_t zone = 0; zone < options_.zones; ++zone) {
      herds_.push_back({*digest, options_.zones > 1 ? fmt::format("zone {}", zone) : ""});
      distances_.push_back(by_distance(herds_.back()));
    }
  }
  two_fetchers_.resize(herds_.size());
  origin_ = std::make_unique<Upload>(SIZE_MAX, options_.rate * options_.origin_rate);
}

Simulation::~Simulation() = default;

std::vector<std::size_t> Simulation::by_distance(const HerdId& herd) const {
  std::vector<NodeId> ids;
  for (const auto& node : nodes_) ids.push_back(node->id);
  std::vector<std::size_t> order;
  for (const NodeId& id : rank(place_of(herd), std::move(ids), nodes_.size())) {
    order.push_back(std::stoul(id.substr(5)));
  }
  return order;
}

bool Simulation::knows(std::size_t node, std::size_t other) const {
  if (node == other || options_.missing == 0) return true;
  std::uint64_t mix = (node * 0x9e3779b97f4a7c15U) ^ (other + 1) * 0xbf58476d1ce4e5b9U;
  mix ^= options_.seed * 0x94d049bb133111ebU;
  mix = (mix ^ mix >> 31) * 0xbf58476d1ce4e5b9U;
  return static_cast<double>((mix ^ mix >> 29) % 10'000) >= options_.missing * 10'000;
}

void Simulation::broken(std::string text) {
  if (outcomes_.broken.size() < 20) outcomes_.broken.push_back(std::move(text));
}

bool Simulation::reaches(std::size_t a, std::size_t b) const {
  if (!nodes_[a]->alive || !nodes_[b]->alive) return false;
  const Duration since = events_.now() - begin_;
  const bool split = since >= options_.partition_from && since < options_.partition_until;
  return !split || nodes_[a]->partitioned == nodes_[b]->partitioned;
}

/// How long the first word of one node to another takes.
Duration Simulation::contact(std::size_t a, std::size_t b) {
  if (a == b) return Duration(0);
  const bool first = contacts_.insert({std::min(a, b), std::max(a, b)}).second;
  return options_.latency + (first ? options_.handshake : Duration(0));
}

void Simulation::deliver(std::size_t from, const Send& send) {
  const std::size_t to = std::stoul(send.to.substr(5));
  if (getenv("DBG")) {
    std::string x;
    if (auto* l = std::get_if<Lost>(&send.message.body))
      x = fmt::format("s{} {} why {}", l->stripe, l->parent, (int)l->why);
    if (auto* l = std::get_if<Stream>(&send.message.body))
      for (auto& q : l->sources) x += fmt::format(" s{}<{}", q.stripe, q.parent);
    if (auto* l = std::get_if<Relieve>(&send.message.body))
      x = fmt::format("s{} {}", l->stripe, l->child);
    fmt::print("{:.4f} {} -> {} {} {} {}\n",
               std::chrono::duration<double>(events_.now() - begin_).count(), from, to,
               name_of(send.message.body), send.message.herd.digest.hex().substr(0, 3), x);
  }
  if (from != to) {
    const Bytes frame = encode_frame(send.message);
    ++messages_;
    ++nodes_[from]->messages;
    message_bytes_ += frame.size();
    FrameReader reader;
    std::vector<Message> read;
    if (!reader.take(frame, read) || read.size() != 1 || !(read[0] == send.message)) {
      broken(fmt::format("a {} doesn't survive the wire", name_of(send.message.body)));
    }
  }
  if (!reaches(from, to)) {
    if (nodes_[to]->alive) return;
    // Refused: the sender's stream to it can't be opened.
    events_.after(2 * options_.latency, [this, from, to] { nodes_[from]->peer_died(to); });
    return;
  }
  events_.after(contact(from, to), [this, from, to, message = send.message] {
    if (reaches(from, to)) nodes_[to]->take(from, message);
  });
}

void Simulation::pump(Upload& upload) {
  if (upload.busy) return;
  const bool of_origin = upload.node == SIZE_MAX;
  if (!of_origin && (!nodes_[upload.node]->alive || nodes_[upload.node]->hung)) return;
  std::erase_if(upload.transfers,
                [&](const auto& each) { return each->ended || !nodes_[each->to]->alive; });
  const std::size_t count = upload.transfers.size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto transfer = upload.transfers[(upload.turn + i) % count];
    const std::uint64_t pieces = pieces_of(options_.layers[transfer->layer]);
    std::uint64_t available = pieces;
    if (!of_origin) {
      if (!reaches(upload.node, transfer->to)) continue;
      available = nodes_[upload.node]->layers[transfer->layer].member->have()[transfer->stripe];
      if (nodes_[upload.node]->layers[transfer->layer].done)
        available = pieces_in(transfer->stripe, pieces);
    }
    if (transfer->next >= available || nodes_[transfer->to]->hung) continue;
    if (transfer->in_flight >= (of_origin ? options_.origin_window : kWindow)) continue;
    upload.turn = (upload.turn + i + 1) % count;
    const std::uint64_t index = transfer->next++;
    ++transfer->in_flight;
    upload.busy = true;
    Node& to = *nodes_[transfer->to];
    const auto on_link = [](double rate) {
      return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(kPieceSize / rate));
    };
    const TimePoint now = events_.now();
    transfer->sent = now;
    const TimePoint sent = now + on_link(upload.rate);
    to.down_free = std::max(to.down_free, now + options_.latency) + on_link(to.rate);
    const TimePoint there = std::max(sent + options_.latency, to.down_free);
    if (of_origin) origin_bytes_ += kPieceSize;
    const bool bad = !of_origin && upload.node == liar_;
    events_.at(sent, [this, &upload] {
      upload.busy = false;
      pump(upload);
    });
    events_.at(there, [this, &upload, transfer, index, bad] {
      nodes_[transfer->to]->piece(upload.node, transfer, index, bad);
    });
    events_.at(there + options_.latency, [this, &upload, transfer] {
      --transfer->in_flight;
      pump(upload);
    });
    return;
  }
}

void Simulation::kill(std::size_t number) {
  Node& node = *nodes_[number];
  node.alive = false;
  if (node.done_layers < node.layers.size()) --open_nodes_;
  for (auto& layer : node.layers) {
    if (!layer.origin) continue;
    allowed_extra_ += (layer.origin->next - layer.origin_from) * kPieceSize;
    layer.origin->ended = true;
    layer.fetching = false;
  }
  events_.after(options_.latency, [this, number] {
    for (const auto& other : nodes_) {
      if (other->number != number) other->peer_died(number);
    }
  });
}

void Simulation::fault(const char* /*what*/, Fault kind, std::size_t number) {
  if (kind == Fault::none || number >= nodes_.size()) return;
  Node& node = *nodes_[number];
  if (!node.alive || node.hung) return;
  if (kind == Fault::kill) return kill(number);
  node.hung = true;
  if (node.done_layers < node.layers.size()) --open_nodes_;
  for (auto& layer : node.layers) {
    if (layer.origin) allowed_extra_ += (layer.origin->next - layer.origin_from) * kPieceSize;
    if (layer.origin) layer.origin->ended = true;
  }
}

/// A node that neither fetches nor coordinates and feeds others.
std::size_t Simulation::pick_middle() const {
  std::size_t best = SIZE_MAX;
  std::size_t most = 0;
  for (const auto& node : nodes_) {
    const bool fetches = std::any_of(node->layers.begin(), node->layers.end(),
                                     [](const auto& layer) { return layer.fetching; });
    if (fetches || !node->alive || node->hung || node->coordinator.herds() > 0) continue;
    if (node->upload.transfers.size() < most) continue;
    most = node->upload.transfers.size();
    best = node->number;
  }
  return best;
}

/// Half-way through the largest layer, by what its fetcher has.
void Simulation::inject() {
  if (faulted_) return;
  const std::uint64_t half = pieces_of(options_.layers[0]) / 2;
  for (const auto& node : nodes_) {
    const auto& layer = node->layers[0];
    if (!layer.member || (!layer.fetching && !layer.done)) continue;
    if (first_missing_byte(layer.member->have()) / kPieceSize < half) continue;
    faulted_ = true;
    fault("the middle", options_.middle, pick_middle());
    if (options_.liar) liar_ = pick_middle();
    fault("the coordinator", options_.coordinator, distances_[0][0]);
    fault("the fetcher", options_.fetcher, node->number);
    return;
  }
}

void Simulation::check_fetchers() {
  std::vector<std::size_t> fetchers(herds_.size());
  for (const auto& node : nodes_) {
    for (std::size_t layer = 0; layer < node->layers.size(); ++layer) {
      const auto& state = node->layers[layer];
      if (!state.member || !node->alive || node->hung) continue;
      if (state.fetching) ++fetchers[layer * options_.zones + node->zone];
      for (Stripe s = 0; s < kStripes; ++s) {
        if (state.member->children(0) + state.member->children(1) > 2U * node->units) {
          broken(fmt::format("{} serves more children than it may", node->id));
        }
      }
    }
  }
  for (std::size_t h = 0; h < herds_.size(); ++h) {
    if (fetchers[h] < 2)
      two_fetchers_[h] = {};
    else if (two_fetchers_[h] == TimePoint{})
      two_fetchers_[h] = events_.now();
    const bool long_since =
        two_fetchers_[h] != TimePoint{} && events_.now() - two_fetchers_[h] > kTakeover;
    const bool split = options_.partition_until > Duration(0);
    if (fetchers[h] > 2 || (long_since && !split)) {
      broken(fmt::format("{} nodes fetch the same blob", fetchers[h]));
    }
  }
}

void Simulation::watch() {
  inject();
  check_fetchers();
  for (std::size_t h = 0; h < herds_.size(); ++h) {
    for (const auto& node : nodes_) {
      const HerdState* state = node->coordinator.find(herds_[h]);
      if (state == nullptr || !node->alive || node->hung) continue;
      for (const auto& [id, place] : state->shape().places()) {
        for (Stripe s = 0; s < kStripes; ++s) {
          outcomes_.depth = std::max(outcomes_.depth, place->depth[s]);
          std::size_t steps = 0;
          for (const Place* at = place.get(); at != nullptr; at = at->parents[s]) {
            if (++steps > state->shape().size()) return broken("a circle in a stripe");
          }
        }
      }
    }
  }
  if (open_nodes_ > 0) events_.after(kWatch, [this] { watch(); });
}

void Simulation::start_node(std::size_t number) {
  Node& node = *nodes_[number];
  if (!node.alive || node.hung) return;
  node.started = events_.now();
  node.begin_layers();
}

Outcomes Simulation::run() {
  open_nodes_ = nodes_.size();
  std::uniform_int_distribution<std::int64_t> when(0, options_.spread.count());
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    events_.at(begin_ + Duration(when(rng_)), [this, i] { start_node(i); });
    // Ticks aren't in step either.
    events_.at(begin_ + milliseconds(rng_() % 20), [this, i] { nodes_[i]->tick(); });
  }
  watch();
  while (open_nodes_ > 0 && events_.step(begin_ + kLimit)) {
  }
  outcomes_.unfinished = open_nodes_;
  std::uint64_t image = 0;
  for (const std::uint64_t layer : options_.layers) image += pieces_of(layer) * kPieceSize;
  outcomes_.origin_images = static_cast<double>(origin_bytes_) / static_cast<double>(image);
  outcomes_.messages = static_cast<double>(messages_) / static_cast<double>(nodes_.size());
  outcomes_.message_bytes =
      static_cast<double>(message_bytes_) / static_cast<double>(nodes_.size());
  for (const auto& node : nodes_) outcomes_.busiest = std::max(outcomes_.busiest, node->messages);
  outcomes_.coordinators = coordinated_.size();
  std::sort(outcomes_.seconds.begin(), outcomes_.seconds.end());
  std::sort(outcomes_.slow_seconds.begin(), outcomes_.slow_seconds.end());
  return outcomes_;
}

}  // namespace hagring::herd::sim
