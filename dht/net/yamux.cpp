// SPDX-License-Identifier: Apache-2.0
#include "dht/net/yamux.hpp"

#include <algorithm>

#include "dht/net/error.hpp"
#include "dht/net/yamux_state.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring::dht {
namespace {

/// The greatest DATA frame that we send; go-yamux's own default (MaxMessageSize).
constexpr std::size_t kMaxData = std::size_t{64} * 1024;

class YamuxStream final : public ByteStream {
 public:
  YamuxStream(std::shared_ptr<YamuxState> session, std::shared_ptr<YamuxEntry> entry)
      : session_(std::move(session)), entry_(std::move(entry)) {}
  ~YamuxStream() override { close(); }

  awaitable<Result<std::size_t>> read_some(MutableBytes into) override {
    auto entry = entry_;  // the stream may go while we wait
    auto session = session_;
    while (entry->received.size() == 0) {
      // A peer that finished may be gone: what it sent was all.
      if (entry->finished_by_peer) co_return Errc::end_of_stream;
      if (entry->error) co_return entry->error;
      CO_CHECK(co_await entry->readable.wait(limit_));
    }
    const auto size = entry->received.take(into);
    session->return_credit(*entry, size);
    co_return size;
  }

  awaitable<Result<void>> write(ByteView from) override {
    auto entry = entry_;
    auto session = session_;
    const auto limit = limit_;
    while (!from.empty()) {
      if (entry->error) co_return entry->error;
      if (entry->finished_by_us) {
        co_return error_code(make_error_code(boost::system::errc::broken_pipe));
      }
      if (session->error) co_return NetErrc::session_closed;
      if (entry->send_credit == 0 || !session->has_room()) {
        CO_CHECK(co_await entry->writable.wait(limit));
        continue;
      }
      const auto part = from.first(static_cast<std::size_t>(
          std::min<std::uint64_t>({from.size(), kMaxData, entry->send_credit})));
      entry->send_credit -= part.size();
      session->send(
          {YamuxHeader::Type::data, 0, entry->id, static_cast<std::uint32_t>(part.size())}, part);
      from = from.subspan(part.size());
    }
    co_return Result<void>();
  }

  awaitable<Result<void>> shutdown_write() override {
    if (entry_->error) co_return entry_->error;
    session_->finish(*entry_);
    co_return Result<void>();
  }

  void close() override {
    if (std::exchange(closed_, true)) return;
    session_->abandon(*entry_);
  }

  void set_inactivity_limit(Duration limit) override { limit_ = limit; }

 private:
  std::shared_ptr<YamuxState> session_;
  std::shared_ptr<YamuxEntry> entry_;
  Duration limit_{0};
  bool closed_ = false;
};

}  // namespace

YamuxSession::YamuxSession(std::unique_ptr<ByteStream> below, Role role, Clock& clock,
                           asio::any_io_executor executor, YamuxOptions options)
    : state_(std::make_shared<YamuxState>(std::move(below), role, clock, executor, options)) {}

YamuxSession::~YamuxSession() { close(); }

awaitable<error_code> YamuxSession::run() {
  auto state = state_;
  TaskGroup group(co_await asio::this_coro::executor, "yamux");
  group.spawn([state]() -> awaitable<void> { co_await state->write_frames(); });
  group.spawn([state]() -> awaitable<void> { co_await state->keep_alive(); });
  const auto reason = co_await state->read_frames();
  if (reason == Errc::bad_message) co_await state->say_goodbye();
  state->end(reason);
  group.cancel();
  co_await group.drain();
  co_return state->error;
}

Result<std::unique_ptr<ByteStream>> YamuxSession::open() {
  TRY(auto entry, state_->open());
  return std::make_unique<YamuxStream>(state_, std::move(entry));
}

awaitable<Result<std::unique_ptr<ByteStream>>> YamuxSession::accept() {
  auto state = state_;
  CO_TRY(auto entry, co_await state->accept());
  co_return std::make_unique<YamuxStream>(state, std::move(entry));
}

awaitable<Result<void>> YamuxSession::ping() {
  auto state = state_;
  co_return co_await state->ping();
}

void YamuxSession::close() { state_->end(NetErrc::session_closed); }

std::size_t YamuxSession::streams() const { return state_->entries.size(); }

}  // namespace hagring::dht
