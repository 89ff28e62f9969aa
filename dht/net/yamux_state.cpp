// SPDX-License-Identifier: Apache-2.0
#include "dht/net/yamux_state.hpp"

#include <algorithm>

#include "dht/net/error.hpp"
#include "dht/net/exact.hpp"
#include "userspace/base/log.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::dht {
namespace {

using Type = YamuxHeader::Type;

/// Writers wait while so much is queued; a peer that makes us answer (pings, resets) and doesn't
/// read is cut off at the second.
constexpr std::size_t kQueueRoom = std::size_t{64} * 1024;
constexpr std::size_t kMaxQueue = std::size_t{1} << 20;
/// Code of an RST (libp2p specs, error-codes.md).
constexpr std::uint32_t kResourceLimit = 0x1002;
/// What is written below at a time: a TLS record. Of what it was given at once TLS keeps as much
/// memory, for each connection, until something smaller is written.
constexpr std::size_t kMostWritten = std::size_t{16} * 1024;

/// Writes `bytes` part by part.
awaitable<Result<void>> write_parts(ByteStream& below, ByteView bytes) {
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(bytes.size(), kMostWritten));
    if (co_await asked_to_stop()) co_return Errc::cancelled;
    CO_CHECK(co_await below.write(part));
    bytes = bytes.subspan(part.size());
  }
  co_return Result<void>();
}

}  // namespace

YamuxState::YamuxState(std::unique_ptr<ByteStream> below, YamuxSession::Role role, Clock& clock,
                       const asio::any_io_executor& executor, YamuxOptions options)
    : below_(std::move(below)),
      clock_(clock),
      executor_(executor),
      options_(std::move(options)),
      budget_(options_.budget ? options_.budget : std::make_shared<YamuxBudget>()),
      peer_parity_(role == YamuxSession::Role::dialler ? 0 : 1),
      next_id_(role == YamuxSession::Role::dialler ? 1 : 2),
      arrived_(executor),
      queued_(executor),
      pong_(executor) {}

awaitable<error_code> YamuxState::read_frames() {
  while (!error) {
    std::array<std::uint8_t, YamuxHeader::kSize> bytes{};
    if (const auto read = co_await read_exactly(*below_, bytes); !read) co_return read.error();
    YamuxHeader header;
    if (!YamuxHeader::decode(bytes, header)) co_return Errc::bad_message;
    if (const auto done = co_await handle(header); !done) co_return done.error();
    if (queue_.size() > kMaxQueue) co_return NetErrc::limit_reached;
  }
  co_return error;
}

awaitable<void> YamuxState::write_frames() {
  while (!error) {
    if (queue_.empty() || leaving_) {
      if (!co_await queued_.wait(Duration::zero())) break;
      continue;
    }
    Bytes flight = std::exchange(queue_, {});
    sending_ = true;
    const auto written = co_await write_parts(*below_, flight);
    sending_ = false;
    budget_->queued -= flight.size();
    if (!written) end(written.error());
    for (const auto& [id, entry] : entries) entry->writable.wake();
  }
}

void YamuxState::end(error_code reason) {
  if (error) return;
  error = reason;
  below_->close();
  for (const auto& [id, entry] : entries) {
    if (!entry->error) entry->error = NetErrc::session_closed;
    entry->readable.wake();
    entry->writable.wake();
  }
  entries.clear();
  // Streams that outlive the session keep this object: only what they can still read counts on.
  for (const auto& entry : waiting_) let_go(entry->received.size());
  waiting_.clear();
  budget_->queued -= queue_.size();
  queue_ = {};
  for (auto* signal : {&arrived_, &queued_, &pong_}) signal->wake();
}

std::size_t YamuxState::count(bool inbound) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      entries, [&](const auto& entry) { return entry.second->inbound == inbound; }));
}

Result<YamuxState::Entry> YamuxState::open() {
  if (error || told_to_go_) return NetErrc::session_closed;
  if (count(false) >= options_.max_outbound_streams || next_id_ > INT32_MAX) {
    return NetErrc::limit_reached;
  }
  auto entry = std::make_shared<YamuxEntry>(next_id_, false, budget_, executor_);
  next_id_ += 2;
  entries.emplace(entry->id, entry);
  send({Type::window, YamuxHeader::syn, entry->id, 0});
  return entry;
}

awaitable<Result<YamuxState::Entry>> YamuxState::accept() {
  while (waiting_.empty()) {
    if (error) co_return NetErrc::session_closed;
    CO_CHECK(co_await arrived_.wait(Duration::zero()));
  }
  auto entry = std::move(waiting_.front());
  waiting_.pop_front();
  // Exactly one ACK a stream: go-yamux counts them (session.go, "acceptBacklog").
  if (!entry->error) send({Type::window, YamuxHeader::ack, entry->id, 0});
  co_return entry;
}

bool YamuxState::has_room() const {
  // With an empty queue it always has: what waits for room is woken when a flight has been sent.
  return queue_.empty() || (queue_.size() < kQueueRoom && budget_->queued < budget_->max_queued);
}

void YamuxState::send(YamuxHeader header, ByteView payload) {
  if (error) return;
  const auto bytes = header.encode();
  queue_.insert(queue_.end(), bytes.begin(), bytes.end());
  queue_.insert(queue_.end(), payload.begin(), payload.end());
  budget_->queued += bytes.size() + payload.size();
  queued_.wake();
}

void YamuxState::reset(std::uint32_t stream, std::uint32_t code) {
  send({Type::window, YamuxHeader::rst, stream, code});
}

void YamuxState::hold(std::size_t size) {
  buffered_ += size;
  budget_->buffered += size;
}

void YamuxState::let_go(std::size_t size) {
  buffered_ -= size;
  budget_->buffered -= size;
}

std::string_view YamuxState::why_full(const YamuxEntry& entry, std::size_t more) const {
  if (buffered_ + more > options_.max_buffered) {
    return "a peer has sent too many bytes that wait to be read: a stream was reset";
  }
  // What all hold together is held against those that have more than a share.
  if (entry.inbound && buffered_ + more > budget_->share_of_buffered &&
      budget_->buffered + more > budget_->max_buffered) {
    return "all peers together have sent too many bytes that wait to be read: a stream was reset";
  }
  return {};
}

void YamuxState::refuse(std::uint32_t stream, std::string_view why) {
  // Threat: a peer that fills the log with a line for each of its frames.
  if (budget_->tell) {
    budget_->tell(why);
  } else if (!std::exchange(told_limit_, true)) {
    log::warning("dht", "{}", why);
  }
  reset(stream, kResourceLimit);
}

void YamuxState::return_credit(YamuxEntry& entry, std::size_t read) {
  let_go(read);
  entry.owed_credit += static_cast<std::uint32_t>(read);
  if (entry.owed_credit < kYamuxWindow / 2 || entry.finished_by_peer || entry.error) return;
  entry.receive_credit += entry.owed_credit;
  send({Type::window, 0, entry.id, std::exchange(entry.owed_credit, 0)});
}

void YamuxState::finish(YamuxEntry& entry) {
  if (std::exchange(entry.finished_by_us, true) || entry.error) return;
  send({Type::window, YamuxHeader::fin, entry.id, 0});
  entry.writable.wake();  // a write that still waits ends here: nobody else may wake it any more
  forget_if_finished(entry);
}

void YamuxState::abandon(YamuxEntry& entry) {
  let_go(entry.received.size());
  entry.received.clear();
  const bool known = knows(entry);
  // After our FIN a reset could take from the peer what it hasn't read yet: what it still sends is
  // answered with a reset, as for any stream that isn't there.
  if (known && !entry.finished_by_us) reset(entry.id, 0);
  if (!entry.error) entry.error = Errc::cancelled;
  entry.readable.wake();
  entry.writable.wake();
  forget(entry);
}

/// Whether the stream of this number is this one. Threat: a peer that resets a stream which is
/// still in use here, and takes its number for another.
bool YamuxState::knows(const YamuxEntry& entry) const {
  const auto found = entries.find(entry.id);
  return found != entries.end() && found->second.get() == &entry;
}

void YamuxState::forget(const YamuxEntry& entry) {
  if (knows(entry)) entries.erase(entry.id);
}

void YamuxState::forget_if_finished(const YamuxEntry& entry) {
  if (entry.finished_by_us && entry.finished_by_peer) forget(entry);
}

awaitable<Result<void>> YamuxState::handle(YamuxHeader header) {
  if (header.type == Type::ping) {
    answer_ping(header);
    co_return Result<void>();
  }
  if (header.type == Type::go_away) {
    log::debug("dht", "a peer says that its connection ends, code {}", header.length);
    told_to_go_ = true;
    co_return Result<void>();
  }
  if (header.has(YamuxHeader::syn)) CO_CHECK(admit(header));
  const auto found = entries.find(header.stream);
  const Entry entry = found == entries.end() ? nullptr : found->second;
  // A reset's length is a code for people.
  const bool reset_by_peer = header.has(YamuxHeader::rst);
  if (header.type == Type::data && header.length > 0) {
    if (!entry) {
      CO_CHECK(co_await drain(header.length));
      if (!reset_by_peer && !header.has(YamuxHeader::syn)) reset(header.stream, 0);
      co_return Result<void>();
    }
    CO_CHECK(co_await receive(entry, header.length));
  }
  if (!entry) co_return Result<void>();
  if (header.type == Type::window && !reset_by_peer) {
    entry->send_credit = std::min<std::uint64_t>(entry->send_credit + header.length, UINT32_MAX);
    entry->writable.wake();
  }
  apply_flags(header, entry);
  co_return Result<void>();
}

Result<void> YamuxState::admit(const YamuxHeader& header) {
  if (header.stream % 2 != peer_parity_ || entries.contains(header.stream)) {
    return Errc::bad_message;
  }
  const auto open = count(true);
  const bool is_too_many_for_all =
      open >= budget_->share_of_streams && budget_->streams >= budget_->max_streams;
  if (open >= options_.max_inbound_streams || is_too_many_for_all) {
    refuse(header.stream,
           open >= options_.max_inbound_streams
               ? "a peer has too many streams open on a connection: another one was reset"
               : "all peers together have too many streams open: another one was reset");
    return {};
  }
  auto entry = std::make_shared<YamuxEntry>(header.stream, true, budget_, executor_);
  entries.emplace(entry->id, entry);
  waiting_.push_back(std::move(entry));
  arrived_.wake();
  return {};
}

awaitable<Result<void>> YamuxState::receive(Entry entry, std::uint32_t size) {
  if (size > entry->receive_credit || entry->finished_by_peer) co_return Errc::bad_message;
  entry->receive_credit -= size;
  std::array<std::uint8_t, 16384> chunk;
  while (size > 0) {
    const auto part = std::min<std::size_t>(size, chunk.size());
    // Asked for each part. Threat: peers that all begin a great frame while there is room.
    if (const auto full = why_full(*entry, part); !full.empty() && !entry->error) {
      refuse(entry->id, full);
      drop(entry, NetErrc::limit_reached);
    }
    CO_TRY(const auto got, co_await below_->read_some(MutableBytes(chunk.data(), part)));
    size -= static_cast<std::uint32_t>(got);
    if (entry->error) continue;  // refused, or closed here meanwhile
    entry->received.append(ByteView(chunk).first(got));
    hold(got);
    entry->readable.wake();
  }
  co_return Result<void>();
}

awaitable<Result<void>> YamuxState::drain(std::uint32_t size) {
  std::array<std::uint8_t, 4096> chunk;
  while (size > 0) {
    const auto part = std::min<std::size_t>(size, chunk.size());
    CO_TRY(const auto got, co_await below_->read_some(MutableBytes(chunk.data(), part)));
    size -= static_cast<std::uint32_t>(got);
  }
  co_return Result<void>();
}

void YamuxState::apply_flags(const YamuxHeader& header, const Entry& entry) {
  if (header.has(YamuxHeader::fin)) {
    entry->finished_by_peer = true;
    entry->readable.wake();
    forget_if_finished(*entry);
  }
  if (header.has(YamuxHeader::rst)) drop(entry, NetErrc::stream_reset);
}

void YamuxState::drop(const Entry& entry, error_code reason) {
  if (!entry->error) entry->error = reason;
  entry->readable.wake();
  entry->writable.wake();
  forget(*entry);
  // Nobody will read what came for a stream that nobody has accepted.
  if (std::erase(waiting_, entry) > 0) let_go(entry->received.size());
}

}  // namespace hagring::dht
