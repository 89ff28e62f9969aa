// SPDX-License-Identifier: Apache-2.0
#include "tests/support/memory_stream.hpp"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <deque>

namespace hagring::test {
namespace {

/// One direction of a pipe.
struct Lane {
  Lane(const asio::any_io_executor& executor, PipeOptions pipe_options)
      : changed(executor, TimePoint::max()), options(pipe_options) {}
  std::deque<std::uint8_t> bytes;
  bool finished = false;  ///< the writer sent FIN
  bool broken = false;    ///< one of the ends was closed
  asio::steady_timer changed;
  PipeOptions options;
};

class MemoryStream final : public ByteStream {
 public:
  // Each lane is shared by the two ends of its pipe.
  MemoryStream(std::shared_ptr<Lane> in, std::shared_ptr<Lane> out)
      : in_(std::move(in)), out_(std::move(out)) {}
  ~MemoryStream() override { close(); }

  awaitable<Result<std::size_t>> read_some(MutableBytes into) override {
    while (in_->bytes.empty()) {
      if (closed_) co_return Errc::cancelled;
      if (in_->finished || in_->broken) co_return Errc::end_of_stream;
      if (auto error = co_await wait(in_)) co_return error;
    }
    const auto size = std::min({into.size(), in_->bytes.size(), in_->options.max_read});
    std::copy_n(in_->bytes.begin(), size, into.begin());
    in_->bytes.erase(in_->bytes.begin(), in_->bytes.begin() + static_cast<std::ptrdiff_t>(size));
    in_->changed.cancel();
    co_return size;
  }

  awaitable<Result<void>> write(ByteView from) override {
    while (!from.empty()) {
      if (closed_) co_return Errc::cancelled;
      if (out_->broken || out_->finished) {
        co_return error_code(
            boost::system::errc::make_error_code(boost::system::errc::broken_pipe));
      }
      const auto room =
          out_->options.capacity - std::min(out_->options.capacity, out_->bytes.size());
      const auto size = std::min(room, from.size());
      out_->bytes.insert(out_->bytes.end(), from.begin(),
                         from.begin() + static_cast<std::ptrdiff_t>(size));
      from = from.subspan(size);
      if (size > 0) out_->changed.cancel();
      if (!from.empty() && size == 0) {
        if (auto error = co_await wait(out_)) co_return error;
      }
    }
    co_return Result<void>();
  }

  awaitable<Result<void>> shutdown_write() override {
    out_->finished = true;
    out_->changed.cancel();
    co_return Result<void>();
  }

  void close() override {
    if (std::exchange(closed_, true)) return;
    out_->finished = true;
    in_->broken = true;
    in_->changed.cancel();
    out_->changed.cancel();
  }

  void set_inactivity_limit(Duration limit) override { limit_ = limit; }

 private:
  /// Waits for a change of `lane`; the lane is held since the stream may go meanwhile.
  awaitable<error_code> wait(std::shared_ptr<Lane> lane) {
    asio::steady_timer limit(lane->changed.get_executor());
    bool timed_out = false;
    if (limit_ != Duration::zero()) {
      limit.expires_after(limit_);
      limit.async_wait([&timed_out, lane](const error_code& error) {
        if (error) return;
        timed_out = true;
        lane->changed.cancel();
      });
    }
    co_await lane->changed.async_wait(kTuple);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (limit_ != Duration::zero() && limit.cancel() == 0 && !timed_out) {
      co_await asio::post(kTuple);  // the handler has been queued: let it run before we go
    }
    if (state.cancelled() != asio::cancellation_type::none) co_return Errc::cancelled;
    if (timed_out) co_return Errc::timed_out;
    co_return error_code();
  }

  std::shared_ptr<Lane> in_;
  std::shared_ptr<Lane> out_;
  Duration limit_{0};
  bool closed_ = false;
};

}  // namespace

std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>> make_memory_pipe(
    asio::any_io_executor executor, PipeOptions options) {
  auto there = std::make_shared<Lane>(executor, options);
  auto back = std::make_shared<Lane>(executor, options);
  return {std::make_unique<MemoryStream>(back, there), std::make_unique<MemoryStream>(there, back)};
}

}  // namespace hagring::test
