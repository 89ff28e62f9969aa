// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/yamux_play.hpp"

#include <sanitizer/allocator_interface.h>

#include "dht/net/yamux_frame.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/support/memory_stream.hpp"

namespace hagring::fuzz {
namespace {

using dht::YamuxHeader;

const dht::YamuxOptions kOptions{
    .max_inbound_streams = 4, .max_outbound_streams = 4, .max_buffered = 64 * 1024};
/// What the session keeps of what its peer has sent, at rest: a few times max_buffered, what the
/// pipe holds each way, answers. Without the limit four streams would hold 1 MiB.
constexpr std::size_t kMaxMemory = std::size_t{768} * 1024;
/// On top of it a frame that is being sent, and what is queued of the user's own writes.
constexpr std::size_t kMaxUnderWay = std::size_t{2} << 20;
/// Lengths at the borders of what the session does.
constexpr std::uint32_t kLengths[] = {0,      1,      2,          3,         4,     12,
                                      100,    4096,   16384,      65536,     65537, 131072,
                                      262143, 262144, 0x7fffffff, 0xffffffff};
constexpr std::size_t kMaxPayload = 262145;
/// What keeps one input within a second: the reads that a frame may take, and all payloads' size.
constexpr std::size_t kMaxReads = 256;
constexpr std::size_t kMaxSent = std::size_t{8} << 20;

std::size_t allocated() {
#if __has_feature(address_sanitizer)
  return __sanitizer_get_current_allocated_bytes();
#else
  return 0;
#endif
}

}  // namespace

YamuxPlay::YamuxPlay(Input& input) : input_(input), before_(allocated()) {
  using Role = dht::YamuxSession::Role;
  const auto role = input_.byte() % 2 == 0 ? Role::listener : Role::dialler;
  segment_ = std::min(input_.segment(), kMaxPayload);
  auto [far, near] = test::make_memory_pipe(context_.get_executor(), {.max_read = segment_});
  peer_ = std::move(far);
  auto options = kOptions;
  options.budget = budget_;
  session_ = std::make_unique<dht::YamuxSession>(std::move(near), role, clock_,
                                                 context_.get_executor(), options);
  group_.spawn([this]() -> awaitable<void> {
    (void)co_await session_->run();
    ended_ = true;
  });
  settle();
}

YamuxPlay::~YamuxPlay() {
  session_->close();
  for (const auto& used : streams_) used->stream->close();
  peer_->close();
  group_.cancel();
  settle();
  require(group_.size() == 0);
  streams_.clear();
  session_.reset();
  require(budget_->streams == 0 && budget_->buffered == 0 && budget_->queued == 0);
}

void YamuxPlay::step() {
  switch (input_.byte() % 10) {
    case 0:
    case 1:
      send_frame();
      break;
    case 2: {
      const auto bytes = input_.bytes(input_.byte());
      send_bytes(Bytes(bytes.begin(), bytes.end()));
      break;
    }
    case 3:
      if (auto stream = session_->open()) {
        streams_.push_back(std::make_shared<Used>(std::move(*stream)));
      }
      break;
    case 4:
      accept();
      break;
    case 5:
    case 6:
      use_stream();
      break;
    case 7:
      peer_reads(std::size_t{input_.byte()} * 4096);
      break;
    case 8:
      clock_.advance(std::chrono::seconds(input_.byte()));
      break;
    default:
      if (input_.byte() % 8 == 0) session_->close();
  }
  settle();
}

void YamuxPlay::end() {
  // The pipe still carries what was sent before; a GOAWAY of ours may wait a second for room.
  peer_->close();
  settle();
  clock_.advance(std::chrono::seconds(1));
  settle();
  require(ended_ && group_.size() == 0);
  require(session_->streams() == 0 && !session_->open());
}

/// Type and flags in one byte, a stream, and one of the lengths; DATA has its payload behind it, or
/// half of it.
void YamuxPlay::send_frame() {
  const auto kind = input_.byte();
  const auto stream = input_.byte();
  const auto size = input_.byte();
  YamuxHeader header{static_cast<YamuxHeader::Type>(kind % 4),
                     static_cast<std::uint16_t>(kind >> 4), stream % 16U, kLengths[size % 16]};
  if (header.type >= YamuxHeader::Type::ping && stream < 128) header.stream = 0;
  const auto encoded = header.encode();
  Bytes bytes(encoded.begin(), encoded.end());
  if (header.type == YamuxHeader::Type::data) {
    const auto most = std::min({kMaxPayload, segment_ * kMaxReads, kMaxSent - sent_});
    const auto whole = std::min<std::size_t>(header.length, most);
    const auto payload = size < 240 ? whole : whole / 2;
    bytes.resize(bytes.size() + payload, size);
    sent_ += payload;
  }
  send_bytes(std::move(bytes));
}

void YamuxPlay::send_bytes(Bytes bytes) {
  if (std::exchange(sending_, true)) return;
  group_.spawn([this, bytes = std::move(bytes)]() -> awaitable<void> {
    (void)co_await peer_->write(bytes);
    sending_ = false;
  });
}

void YamuxPlay::peer_reads(std::size_t size) {
  if (std::exchange(receiving_, true)) return;
  group_.spawn([this, size]() -> awaitable<void> {
    Bytes into(4096);
    for (std::size_t all = 0; all < size;) {
      const auto got = co_await peer_->read_some(into);
      if (!got) break;
      all += *got;
    }
    receiving_ = false;
  });
}

void YamuxPlay::accept() {
  if (std::exchange(accepting_, true)) return;
  group_.spawn([this]() -> awaitable<void> {
    auto stream = co_await session_->accept();
    accepting_ = false;
    if (stream) streams_.push_back(std::make_shared<Used>(std::move(*stream)));
  });
}

void YamuxPlay::use_stream() {
  const auto which = input_.byte();
  const auto what = input_.byte();
  if (streams_.empty()) return;
  const auto at = streams_.begin() + static_cast<std::ptrdiff_t>(which % streams_.size());
  const auto used = *at;
  const auto size = std::min<std::size_t>(kLengths[what >> 4], kMaxPayload);
  switch (what % 8) {
    case 0:
    case 1:
    case 2:
      read(used, size);
      break;
    case 3:
    case 4:
      write(used, size);
      break;
    case 5:
      group_.spawn([used]() -> awaitable<void> { (void)co_await used->stream->shutdown_write(); });
      break;
    case 6:
      used->stream->close();
      break;
    default:
      streams_.erase(at);  // its tasks keep it until they end
  }
}

/// Reads until `size` bytes have come.
void YamuxPlay::read(std::shared_ptr<Used> used, std::size_t size) {
  if (std::exchange(used->reading, true)) return;
  group_.spawn([used, size]() -> awaitable<void> {
    Bytes into(std::min<std::size_t>(size, 4096) + 1);
    for (std::size_t all = 0; all <= size;) {
      const auto got = co_await used->stream->read_some(into);
      if (!got) break;
      require(*got > 0 && *got <= into.size());
      all += *got;
    }
    used->reading = false;
  });
}

void YamuxPlay::write(std::shared_ptr<Used> used, std::size_t size) {
  static const Bytes text(kMaxPayload, 'x');
  if (std::exchange(used->writing, true)) return;
  written_ = true;
  group_.spawn([used, size]() -> awaitable<void> {
    (void)co_await used->stream->write(ByteView(text).first(size));
    used->writing = false;
  });
}

void YamuxPlay::settle() {
  context_.restart();
  context_.poll();
  require(session_->streams() <= kOptions.max_inbound_streams + kOptions.max_outbound_streams);
  require(budget_->buffered <= kOptions.max_buffered);
  require(allocated() <= before_ + kMaxMemory + (sending_ || written_ ? kMaxUnderWay : 0));
}

}  // namespace hagring::fuzz
