// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/herd_mesh.hpp"

#include "dht/net/error.hpp"
#include "userspace/agent/setting_value.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/log.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kPart = "herd";
constexpr std::size_t kReadBytes = 16UL * 1024;
/// Threat: a member that floods the control thread. After so many messages of one node others have
/// their turn.
constexpr std::size_t kBurst = 256;
constexpr auto kRest = 10ms;
/// A cancellation that falls between two operations ends neither: said again.
constexpr auto kBetweenCancels = 100ms;

std::optional<dht::PeerId> from_herd(const herd::NodeId& node) {
  return dht::PeerId::from_bytes(as_bytes(node));
}

}  // namespace

herd::NodeId to_herd(const dht::PeerId& peer) { return herd::NodeId(as_text(peer.bytes())); }

bool HerdNotary::verify(const herd::NodeId& node, ByteView bytes, ByteView signature) {
  const auto peer = from_herd(node);
  // Of a key that the ID only hashes nothing is known here; agents' own (Ed25519) are in it.
  if (!peer || peer->inlined_key().empty()) return false;
  const auto key = dht::PublicKey::parse(peer->inlined_key());
  return key && key->verify(bytes, signature);
}

/// One stream with a node.
struct HerdMesh::Line {
  Line(herd::NodeId with, const asio::any_io_executor& on)
      : node(std::move(with)), changed(on, TimePoint::max()) {}

  const herd::NodeId node;
  std::unique_ptr<ByteStream> stream;
  std::deque<Bytes> queue;
  std::size_t queued = 0;
  bool ended = false;
  TimePoint used{};
  asio::steady_timer changed;
};

HerdMesh::HerdMesh(asio::any_io_executor control, Clock& clock, dht::Node& node,
                   std::function<std::uint16_t()> peer_port, Options options)
    : control_(std::move(control)),
      clock_(clock),
      node_(node),
      peer_port_(std::move(peer_port)),
      options_(options),
      tasks_(control_, "herd streams") {}

HerdMesh::~HerdMesh() = default;

void HerdMesh::begin(Hooks hooks) {
  hooks_ = std::move(hooks);
  node_.serve(std::string(herd::kHerdProtocol),
              [this](dht::Host::Inbound inbound) { return run_others(std::move(inbound)); });
}

std::vector<herd::NodeId> HerdMesh::nearest(const herd::Key& place, std::size_t count) const {
  std::erase_if(mute_, [now = clock_.now()](const auto& entry) { return entry.second <= now; });
  std::vector<herd::NodeId> nodes{to_herd(node_.peer_id())};
  for (const auto& peer : node_.nearest(kad::Key(place), count + mute_.size())) {
    auto node = to_herd(peer);
    const bool silent =
        mute_.contains(node) || !node_.serves(peer, herd::kHerdProtocol).value_or(true);
    if (!silent) nodes.push_back(std::move(node));
  }
  if (const auto found = near_.find(place); found != near_.end()) {
    for (const auto& node : found->second.nodes) {
      const auto peer = from_herd(node);
      // Those that aren't in the table can be reached only while they are connected.
      const bool speaks = peer && node_.serves(*peer, herd::kHerdProtocol).value_or(false);
      if (speaks && !mute_.contains(node)) nodes.push_back(node);
    }
  }
  return herd::rank(place, std::move(nodes), count);
}

std::vector<herd::NodeId> HerdMesh::holders(const herd::HerdId& herd) const {
  const auto key = herd.digest.to_string();
  std::vector<herd::NodeId> nodes;
  if (node_.provides(key)) nodes.push_back(to_herd(node_.peer_id()));
  for (const auto& peer : node_.known_providers(key)) nodes.push_back(to_herd(peer));
  return nodes;
}

awaitable<void> HerdMesh::get_to_know(herd::HerdId herd) {
  if (stopped_ || node_.knows_everybody()) co_return;
  const auto place = herd::place_of(herd);
  std::erase_if(near_,
                [now = clock_.now()](const auto& entry) { return entry.second.until <= now; });
  if (near_.contains(place) || near_.size() >= options_.max_found) co_return;
  ++searches_;
  // Those that come meanwhile, or after a search in vain, make none of their own.
  near_[place].until = clock_.now() + options_.search + options_.not_found;
  const auto found =
      co_await with_deadline(clock_, options_.search, node_.find_nearest(herd::place_name(herd)));
  if (!found || found->empty()) co_return;
  auto& near = near_[place];
  near.until = clock_.now() + options_.found;
  near.nodes.clear();
  for (const auto& peer : *found) near.nodes.push_back(to_herd(peer));
}

std::optional<registry::Peer> HerdMesh::whereabouts(const herd::NodeId& node) const {
  const auto peer = from_herd(node);
  if (!peer) return std::nullopt;
  const auto places = node_.places_of(*peer);
  if (places.empty()) return std::nullopt;
  const asio::ip::tcp::endpoint address(places.front(), peer_port_());
  return registry::Peer{
      .name = write_endpoint(address), .address = address, .identity = peer->to_string()};
}

void HerdMesh::send(const herd::NodeId& to, const herd::Message& message) {
  if (stopped_) return;
  auto frame = herd::encode_frame(message);
  const auto other = others_.find(to);
  if (!herd::for_coordinator(message.body)) {
    // Without its stream the node is in no herd here any more.
    if (other != others_.end()) queue(other->second, std::move(frame));
    return;
  }
  const auto our = ours_.find(to);
  if (our != ours_.end()) return queue(our->second, std::move(frame));
  const bool answer = std::holds_alternative<herd::Note>(message.body);
  if (answer && other != others_.end()) return queue(other->second, std::move(frame));
  if (streams() >= options_.max_lines) return;
  auto line = std::make_shared<Line>(to, control_);
  ours_.emplace(to, line);
  queue(line, std::move(frame));
  tasks_.spawn([this, line] { return run_ours(line); });
}

void HerdMesh::queue(const LinePtr& line, Bytes frame) {
  line->queued += frame.size();
  line->queue.push_back(std::move(frame));
  line->changed.cancel();
  if (line->queued > options_.max_queued) {
    log::info(kPart, "a node takes no messages: its stream is ended");
    end(*line);
  }
}

void HerdMesh::end(Line& line) {
  line.ended = true;
  if (line.stream) line.stream->close();
  line.changed.cancel();
}

awaitable<void> HerdMesh::run_ours(LinePtr line) {
  const auto peer = from_herd(line->node);
  Result<std::unique_ptr<ByteStream>> stream(Errc::bad_message);
  if (peer) {
    stream = co_await with_deadline(clock_, options_.open,
                                    node_.open(*peer, std::string(herd::kHerdProtocol)));
  }
  if (stream) {
    line->stream = *std::move(stream);
    // That it doesn't speak the protocol may be known at the first read only (Host::open).
    const auto carried = co_await carry(line);
    if (!carried) stream = carried.error();
  } else {
    log::debug(kPart, "no stream to {}: {}", peer ? peer->to_string() : "(unknown)",
               stream.error().message());
  }
  if (!stream && stream.error() == dht::NetErrc::no_common_protocol) {
    mute_[line->node] = clock_.now() + options_.mute;
  }
  const auto current = ours_.find(line->node);
  if (current != ours_.end() && current->second == line) ours_.erase(current);
  if (!stopped_ && hooks_.coordinator_lost) hooks_.coordinator_lost(line->node);
}

awaitable<void> HerdMesh::run_others(dht::Host::Inbound inbound) {
  auto line = std::make_shared<Line>(to_herd(inbound.peer), control_);
  line->stream = std::move(inbound.stream);
  const auto former = others_.find(line->node);
  if (former != others_.end()) {
    // It has begun anew: what it had joined by the former one is gone.
    end(*former->second);
    others_.erase(former);
    if (hooks_.member_lost) hooks_.member_lost(line->node);
  }
  if (stopped_ || streams() >= options_.max_lines) co_return line->stream->close();
  others_.emplace(line->node, line);
  (void)co_await carry(line);
  const auto current = others_.find(line->node);
  if (current == others_.end() || current->second != line) co_return;
  others_.erase(current);
  if (!stopped_ && hooks_.member_lost) hooks_.member_lost(line->node);
}

/// Both ways, until the stream ends.
awaitable<Result<void>> HerdMesh::carry(LinePtr line) {
  TaskGroup writing(control_, "herd stream");
  writing.spawn([this, line] { return write(line); });
  const auto done = co_await read(line);
  if (!done && done.error() == Errc::bad_message) {
    log::warning(kPart, "a node sends what is no message of herds: its stream is ended");
  }
  end(*line);
  writing.cancel();
  co_await writing.drain();
  co_return done;
}

awaitable<Result<void>> HerdMesh::read(LinePtr line) {
  herd::FrameReader frames;
  Bytes buffer(kReadBytes);
  std::vector<herd::Message> messages;
  std::size_t burst = 0;
  while (!line->ended) {
    CO_TRY(const auto size, co_await line->stream->read_some(buffer));
    if (co_await asked_to_stop()) co_return Errc::cancelled;
    line->used = clock_.now();
    messages.clear();
    CO_CHECK(frames.take(ByteView(buffer).first(size), messages));
    for (auto& message : messages) {
      if (stopped_ || line->ended) co_return Errc::cancelled;
      hooks_.received(line->node, std::move(message));
    }
    burst += messages.size();
    if (burst < kBurst) continue;
    burst = 0;
    co_await clock_.sleep_for(kRest);
  }
  co_return Result<void>();
}

awaitable<void> HerdMesh::write(LinePtr line) {
  line->used = clock_.now();
  while (!line->ended && !co_await asked_to_stop()) {
    if (line->queue.empty()) {
      line->changed.expires_at(clock_.now() + options_.idle);
      co_await line->changed.async_wait(kTuple);
      if (line->queue.empty() && clock_.now() - line->used >= options_.idle) break;
      continue;
    }
    Bytes frames;
    for (const auto& frame : line->queue) frames.insert(frames.end(), frame.begin(), frame.end());
    line->queue.clear();
    line->queued = 0;
    const auto written =
        co_await with_deadline(clock_, options_.write, line->stream->write(frames));
    if (!written) break;
    line->used = clock_.now();
  }
  end(*line);
}

awaitable<void> HerdMesh::stop() {
  stopped_ = true;
  while (tasks_.size() > 0) {
    for (const auto* lines : {&ours_, &others_}) {
      for (const auto& [node, line] : *lines) end(*line);
    }
    tasks_.cancel();
    co_await clock_.sleep_for(kBetweenCancels);
  }
  co_await tasks_.drain();
}

}  // namespace hagring::agent
