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

/// How many pieces of a transfer its sender has.
std::uint64_t Simulation::available(const Upload& upload, const Transfer& transfer) const {
  const std::uint64_t pieces = pieces_of(options_.layers[transfer.layer]);
  if (upload.node == SIZE_MAX) return pieces;
  if (!reaches(upload.node, transfer.to)) return 0;
  const auto& layer = nodes_[upload.node]->layers[transfer.layer];
  return layer.done ? pieces_in(transfer.stripe, pieces) : layer.member->have()[transfer.stripe];
}

/// Sends the next piece, if the link is free and there is one.
void Simulation::pump(Upload& upload) {
  const bool of_origin = upload.node == SIZE_MAX;
  if (upload.busy) return;
  if (!of_origin && (!nodes_[upload.node]->alive || nodes_[upload.node]->hung)) return;
  std::erase_if(upload.transfers, [](const auto& each) { return each->ended; });
  const unsigned window = of_origin ? options_.origin_window : kWindow;
  const std::size_t count = upload.transfers.size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto transfer = upload.transfers[(upload.turn + i) % count];
    const Node& to = *nodes_[transfer->to];
    if (transfer->in_flight >= window || to.hung || !to.alive) continue;
    if (transfer->next >= available(upload, *transfer)) continue;
    upload.turn = (upload.turn + i + 1) % count;
    return send_piece(upload, transfer);
  }
}

void Simulation::send_piece(Upload& upload, const std::shared_ptr<Transfer>& transfer) {
  const auto on_link = [](double rate) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(kPieceSize / rate));
  };
  const std::uint64_t index = transfer->next++;
  ++transfer->in_flight;
  upload.busy = true;
  Node& to = *nodes_[transfer->to];
  const TimePoint now = events_.now();
  transfer->sent = now;
  const TimePoint sent = now + on_link(upload.rate);
  // The receiver's link takes one piece at a time, while the sender's still sends.
  to.down_free = std::max(to.down_free, now + options_.latency) + on_link(to.rate);
  const TimePoint there = std::max(sent + options_.latency, to.down_free);
  if (upload.node == SIZE_MAX) {
    origin_bytes_ += kPieceSize;
    to.layers[transfer->layer].fetched += kPieceSize;
  }
  const bool bad = upload.node != SIZE_MAX && upload.node == liar_;
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
}

void Simulation::kill(std::size_t number) {
  Node& node = *nodes_[number];
  node.alive = false;
  if (node.done_layers < node.layers.size()) --open_nodes_;
  for (auto& layer : node.layers) {
    // What it fetched is lost, as far as nobody else has it.
    lost_bytes_ += layer.fetched;
    if (layer.origin) layer.origin->ended = true;
    layer.fetching = false;
  }
  events_.after(options_.latency, [this, number] {
    for (const auto& other : nodes_) {
      if (other->number != number) other->peer_died(number);
    }
  });
}

void Simulation::fault(Fault kind, std::size_t number) {
  if (kind == Fault::none || number >= nodes_.size()) return;
  Node& node = *nodes_[number];
  if (!node.alive || node.hung) return;
  if (kind == Fault::kill) return kill(number);
  node.hung = true;
  if (node.done_layers < node.layers.size()) --open_nodes_;
  for (auto& layer : node.layers) {
    lost_bytes_ += layer.fetched;
    if (layer.origin) layer.origin->ended = true;
  }
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
  measure();
  if (options_.to_the_end) check_end();
  return outcomes_;
}

void Simulation::measure() {
  std::uint64_t image = 0;
  for (const std::uint64_t layer : options_.layers) image += pieces_of(layer) * kPieceSize;
  outcomes_.origin_images = static_cast<double>(origin_bytes_) / static_cast<double>(image);
  if (origin_bytes_ > most_origin_bytes()) {
    broken("more bytes from the origin than the blobs have and lost fetchers took");
  }
  outcomes_.messages = static_cast<double>(messages_) / static_cast<double>(nodes_.size());
  outcomes_.message_bytes =
      static_cast<double>(message_bytes_) / static_cast<double>(nodes_.size());
  for (const auto& node : nodes_) outcomes_.busiest = std::max(outcomes_.busiest, node->messages);
  outcomes_.coordinators = coordinated_.size();
  std::sort(outcomes_.seconds.begin(), outcomes_.seconds.end());
  std::sort(outcomes_.slow_seconds.begin(), outcomes_.slow_seconds.end());
}

}  // namespace hagring::herd::sim
