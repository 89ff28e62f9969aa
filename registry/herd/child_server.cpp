// SPDX-License-Identifier: Apache-2.0
#include "registry/herd/child_server.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "registry/oci_error.hpp"
#include "registry/permission.hpp"
#include "registry/presumption.hpp"
#include "registry/route.hpp"

namespace hagring::herd {
namespace {

using namespace std::chrono_literals;

/// For the party to say whether it takes the child.
constexpr auto kAdmission = 2s;

}  // namespace

/// One child's answer while it goes on.
class ChildServer::Stream {
 public:
  Stream(ChildServer& server, http::Connection& connection, std::shared_ptr<Party> party,
         std::shared_ptr<Child> child, std::uint64_t next)
      : server_(server),
        connection_(connection),
        party_(std::move(party)),
        child_(std::move(child)),
        next_(next) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() {
    party_->post([child = child_](Party& party) { party.child_left(child); });
  }

  /// Waits for the party's word.
  awaitable<bool> is_accepted() {
    party_->post([child = child_](Party& party) { party.child_asks(child); });
    const auto end = std::chrono::steady_clock::now() + kAdmission;
    co_await party_->bell().wait(
        end, [this] { return child_->state != Child::State::asking || party_->ended(); });
    co_return child_->state == Child::State::accepted;
  }

  awaitable<Result<void>> send() {
    while (true) {
      if (const auto spool = party_->spool()) co_return co_await send_from(*spool);
      const auto end = std::chrono::steady_clock::now() + server_.options_.beat;
      co_await party_->bell().wait(end, [this] { return is_over() || party_->spool(); });
      if (co_await asked_to_stop() || is_over()) co_return Errc::cancelled;
      if (!party_->spool()) CO_CHECK(co_await beat(0));
    }
  }

 private:
  bool is_over() const { return child_->state == Child::State::dropped || party_->ended(); }

  awaitable<Result<void>> beat(std::uint64_t has) {
    Bytes payload;
    append_number(payload, has);
    co_return co_await connection_.write_body(encode_frame(FrameKind::beat, payload));
  }

  /// Before any piece: by now the node has been told whether the content is private.
  awaitable<Result<void>> tell_about(const Spool& spool) {
    const auto& digest = party_->id().digest;
    About about{.size = spool.size()};
    if (registry::private_under(server_.policy_, server_.privacy_, digest)) {
      about.private_mark = server_.privacy_.field_of(digest);
    } else if (const auto names = server_.privacy_.presumed(digest);
               registry::standing_of(server_.policy_, server_.privacy_, names) !=
               registry::Standing::free) {
      // Of whom it is hasn't been shown: a mark that says so.
      about.private_mark = fmt::format("?{}", fmt::join(names, ", ?"));
    }
    co_return co_await connection_.write_body(encode_frame(FrameKind::about, encode_about(about)));
  }

  awaitable<Result<void>> send_from(Spool& spool) {
    CO_CHECK(co_await tell_about(spool));
    const auto stripe = child_->stripe;
    const auto end = pieces_in(stripe, spool.pieces());
    auto limit = std::chrono::steady_clock::now() + server_.options_.grace;
    while (next_ < end) {
      const auto soon = std::chrono::steady_clock::now() + server_.options_.beat;
      const bool more = co_await spool.bell().wait(
          soon, [&] { return spool.covered()[stripe] > next_ || spool.failure() || is_over(); });
      if (co_await asked_to_stop() || is_over()) co_return Errc::cancelled;
      if (spool.covered()[stripe] > next_) {
        const auto number = piece_number(stripe, next_);
        const auto begun = std::chrono::steady_clock::now();
        CO_CHECK(co_await await_turn(spool, number));
        // Its waiting isn't the child's slowness.
        limit += std::chrono::steady_clock::now() - begun;
        CO_CHECK(co_await send_piece(spool, number));
        ++next_;
        if (std::chrono::steady_clock::now() > limit) co_return Errc::timed_out;
        limit += std::chrono::milliseconds(kPieceSize * 1000 / server_.options_.least_speed);
      } else if (spool.failure()) {
        co_return spool.failure();
      } else if (!more) {
        CO_CHECK(co_await beat(spool.covered()[stripe]));
        limit += server_.options_.beat;
      }
    }
    CO_CHECK(co_await connection_.write_body(encode_frame(FrameKind::end, {})));
    co_return co_await connection_.finish_body();
  }

  /// As --herd-upload-limit has it. Meanwhile the child is told that there is nothing more: one
  /// that knows of more and doesn't get it goes elsewhere.
  awaitable<Result<void>> await_turn(const Spool& spool, std::uint64_t piece) {
    const auto batch = spool.batch_of(piece);
    const auto bytes = spool.length_of(piece) + (batch && batch != told_ ? batch->size() : 0);
    const auto now = std::chrono::steady_clock::now();
    const auto waited = co_await wait_until(now + server_.herds_.upload().take_turn(bytes, now));
    // Threat: a child that comes and goes, and takes turns from the others.
    if (!waited) server_.herds_.upload().give_back(bytes);
    co_return waited;
  }

  awaitable<Result<void>> wait_until(TimePoint turn) {
    auto now = std::chrono::steady_clock::now();
    while (now < turn) {
      const auto soon = std::min(turn, now + server_.options_.beat);
      co_await party_->bell().wait(soon, [this] { return is_over(); });
      if (co_await asked_to_stop() || is_over()) co_return Errc::cancelled;
      now = std::chrono::steady_clock::now();
      if (now < turn) CO_CHECK(co_await beat(next_));
    }
    co_return Result<void>();
  }

  awaitable<Result<void>> send_piece(const Spool& spool, std::uint64_t piece) {
    const auto batch = spool.batch_of(piece);
    Bytes frames;
    if (batch && batch != told_) frames = encode_frame(FrameKind::batch, *batch);
    const auto length = spool.length_of(piece);
    const auto piece_head = frame_head(FrameKind::piece, sizeof(std::uint64_t) + length);
    frames.insert(frames.end(), piece_head.begin(), piece_head.end());
    append_number(frames, next_);
    const auto head = frames.size();
    frames.resize(head + length);
    CO_TRY(const auto got, spool.read(piece * kPieceSize, MutableBytes(frames).subspan(head)));
    if (got != length) co_return Errc::truncated;
    // In one write: each is a record, a packet, and a wake-up at the child.
    CO_CHECK(co_await connection_.write_body(frames));
    told_ = batch;
    server_.herds_.counters().bytes_out.fetch_add(length, std::memory_order_relaxed);
    co_return Result<void>();
  }

  ChildServer& server_;
  http::Connection& connection_;
  const std::shared_ptr<Party> party_;
  const std::shared_ptr<Child> child_;
  std::uint64_t next_;
  SharedBytes told_;
};

bool ChildServer::is_for(const http::Request& request) {
  return request.headers.contains(kStripeField);
}

std::shared_ptr<Party> ChildServer::party_for(const http::Request& request,
                                              StripeRequest& wanted) const {
  const auto field = parse_stripe_request(request.headers.get(kStripeField).value_or(""));
  const auto asked = registry::route(request.method, request.target);
  if (!field || asked.kind != registry::Route::Kind::blob || !asked.digest || asked.head) {
    return nullptr;
  }
  const bool excluded = !asked.registry.empty() && !policy_
                                                        .decide({.registry = asked.registry,
                                                                 .repository = asked.repository,
                                                                 .tag = std::nullopt,
                                                                 .digest = asked.digest})
                                                        .mirror;
  if (excluded) return nullptr;
  wanted = *field;
  return herds_.find({*asked.digest, field->zone});
}

std::optional<HerdId> ChildServer::joinable(const http::Request& request) {
  const auto zone = request.headers.get(kJoinField);
  if (!zone || request.headers.contains("Range")) return std::nullopt;
  auto asked = registry::route(request.method, request.target);
  if (asked.kind != registry::Route::Kind::blob || asked.head || !asked.digest) {
    return std::nullopt;
  }
  return HerdId{.digest = *std::move(asked.digest), .zone = std::string(*zone)};
}

bool ChildServer::leads_to(const HerdId& herd) const {
  const auto party = herds_.find(herd);
  const auto spool = party && !party->whole() && !party->ended() ? party->spool() : nullptr;
  if (!spool || !spool->whole()) return false;
  if (party->children() > 0) return true;
  const std::lock_guard lock(mutex_);
  return copies_.contains(herd.digest);
}

ChildServer::Copy::Copy(ChildServer& server, registry::Digest digest)
    : server_(server), digest_(std::move(digest)) {
  const std::lock_guard lock(server_.mutex_);
  ++server_.copies_[digest_];
}

ChildServer::Copy::~Copy() {
  const std::lock_guard lock(server_.mutex_);
  const auto entry = server_.copies_.find(digest_);
  if (--entry->second == 0) server_.copies_.erase(entry);
}

awaitable<Result<void>> ChildServer::lead_to_herd(http::Connection& connection,
                                                  bool keep_alive) const {
  http::Response response{.status = 503};
  response.keep_alive = keep_alive;
  response.headers.add(std::string(kJoinField), "1");
  co_return co_await connection.write_response_with(
      std::move(response), registry::oci_error("UNAVAILABLE", "others want it, too: join them"));
}

awaitable<Result<void>> ChildServer::answer(http::Connection& connection,
                                            const http::Request& request, NodeId node,
                                            bool keep_alive) {
  StripeRequest wanted;
  const auto party = party_for(request, wanted);
  http::Response response{.status = 404};
  response.keep_alive = keep_alive;
  if (!party) {
    co_return co_await connection.write_response_with(
        std::move(response), registry::oci_error("BLOB_UNKNOWN", "this node doesn't fetch it"));
  }
  auto child = std::make_shared<Child>();
  child->node = std::move(node);
  child->stripe = wanted.stripe;
  Stream stream(*this, connection, party, child, wanted.next);
  if (!co_await stream.is_accepted()) {
    herds_.counters().children_refused.fetch_add(1, std::memory_order_relaxed);
    co_return co_await connection.write_response_with(
        std::move(response), registry::oci_error("DENIED", "this node has children enough"));
  }
  response.status = 200;
  response.headers = {{"Content-Type", "application/octet-stream"},
                      {std::string(kStripeField), "1"}};
  response.body = {http::BodyLength::Kind::chunked, 0};
  CO_CHECK(co_await connection.write_response(response));
  co_return co_await stream.send();
}

}  // namespace hagring::herd
