// SPDX-License-Identifier: Apache-2.0
#include "registry/canned_answer.hpp"

#include <algorithm>

namespace hagring::registry {
namespace {

/// Gives what has been written to it; whoever reads on finds the end.
class Can final : public ByteStream {
 public:
  awaitable<Result<std::size_t>> read_some(MutableBytes into) override {
    const auto size = std::min(into.size(), bytes_.size() - read_);
    if (size == 0) co_return Errc::end_of_stream;
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(read_), size, into.begin());
    read_ += size;
    co_return size;
  }
  awaitable<Result<void>> write(ByteView from) override {
    bytes_.insert(bytes_.end(), from.begin(), from.end());
    co_return Result<void>();
  }
  awaitable<Result<void>> shutdown_write() override { co_return Result<void>(); }
  void close() override { read_ = bytes_.size(); }
  void set_inactivity_limit(Duration) override {}

 private:
  Bytes bytes_;
  std::size_t read_ = 0;
};

}  // namespace

awaitable<Result<Exchange>> canned_answer(UpstreamClient& client, std::string method,
                                          http::Response response, std::string body) {
  auto connection = std::make_unique<http::Connection>(std::make_unique<Can>());
  const bool head_only = method == "HEAD";
  response.keep_alive = false;
  if (!head_only) response.body = {http::BodyLength::Kind::length, body.size()};
  CO_CHECK(co_await connection->write_response(response, head_only));
  if (!head_only) CO_CHECK(co_await connection->write_body(as_bytes(body)));
  CO_CHECK(co_await connection->finish_body());
  CO_TRY(response, co_await connection->read_response(std::move(method)));
  co_return client.exchange_over(std::move(connection), std::move(response));
}

}  // namespace hagring::registry
