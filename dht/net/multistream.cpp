// SPDX-License-Identifier: Apache-2.0
#include "dht/net/multistream.hpp"

#include <algorithm>

#include "dht/multiformats/varint.hpp"
#include "dht/net/error.hpp"
#include "dht/net/exact.hpp"

namespace hagring::dht {
namespace {

constexpr std::string_view kHeader = "/multistream/1.0.0";
constexpr std::string_view kNotAvailable = "na";
/// go-multistream's limit (multistream.go).
constexpr std::size_t kMaxToken = 1024;
/// Threat: a peer that proposes for ever.
constexpr int kMaxProposals = 16;

void append_token(Bytes& into, std::string_view text) {
  append_varint(into, text.size() + 1);
  into.insert(into.end(), text.begin(), text.end());
  into.push_back('\n');
}

awaitable<Result<void>> write_token(ByteStream& stream, std::string_view text) {
  Bytes token;
  append_token(token, text);
  co_return co_await stream.write(token);
}

awaitable<Result<std::string>> read_token(ByteStream& stream) {
  CO_TRY(const auto bytes, co_await read_delimited(stream, kMaxToken));
  if (bytes.empty() || bytes.back() != '\n') co_return Errc::bad_message;
  co_return std::string(bytes.begin(), bytes.end() - 1);
}

awaitable<Result<void>> read_header(ByteStream& stream) {
  // The length first: bytes of another network's key, or of another protocol, are refused without
  // waiting for as many as they seem to announce.
  CO_TRY(const auto size, co_await read_length(stream, kMaxToken));
  if (size != kHeader.size() + 1) co_return Errc::bad_message;
  Bytes text(size);
  CO_CHECK(co_await read_exactly(stream, text));
  if (text.back() != '\n' || as_text(text).substr(0, size - 1) != kHeader) {
    co_return Errc::bad_message;
  }
  co_return Result<void>();
}

/// Reads the answer to a proposal of `protocol`.
awaitable<Result<void>> read_answer(ByteStream& stream, const std::string& protocol) {
  CO_TRY(const auto answer, co_await read_token(stream));
  if (answer == kNotAvailable) co_return NetErrc::no_common_protocol;
  if (answer != protocol) co_return Errc::bad_message;
  co_return Result<void>();
}

class LazyStream final : public ByteStream {
 public:
  LazyStream(std::unique_ptr<ByteStream> below, std::string protocol)
      : below_(std::move(below)), protocol_(std::move(protocol)) {}

  awaitable<Result<std::size_t>> read_some(MutableBytes into) override {
    CO_CHECK(co_await propose({}));
    if (!answered_) {
      CO_CHECK(co_await read_header(*below_));
      CO_CHECK(co_await read_answer(*below_, protocol_));
      answered_ = true;
    }
    co_return co_await below_->read_some(into);
  }

  awaitable<Result<void>> write(ByteView from) override {
    if (!proposed_) co_return co_await propose(from);
    co_return co_await below_->write(from);
  }

  awaitable<Result<void>> shutdown_write() override {
    CO_CHECK(co_await propose({}));
    co_return co_await below_->shutdown_write();
  }

  void close() override { below_->close(); }
  void set_inactivity_limit(Duration limit) override { below_->set_inactivity_limit(limit); }

 private:
  /// Sends header and proposal, if they haven't been, with `first` behind them.
  awaitable<Result<void>> propose(ByteView first) {
    if (std::exchange(proposed_, true)) co_return Result<void>();
    Bytes flight;
    append_token(flight, kHeader);
    append_token(flight, protocol_);
    flight.insert(flight.end(), first.begin(), first.end());
    co_return co_await below_->write(flight);
  }

  std::unique_ptr<ByteStream> below_;
  std::string protocol_;
  bool proposed_ = false;
  bool answered_ = false;
};

}  // namespace

awaitable<Result<std::string>> propose_protocol(ByteStream& stream,
                                                std::vector<std::string> protocols) {
  bool first = true;
  for (auto& protocol : protocols) {
    Bytes flight;
    if (first) append_token(flight, kHeader);
    append_token(flight, protocol);
    CO_CHECK(co_await stream.write(flight));
    if (std::exchange(first, false)) CO_CHECK(co_await read_header(stream));
    const auto answer = co_await read_answer(stream, protocol);
    if (answer) co_return std::move(protocol);
    if (answer.error() != NetErrc::no_common_protocol) co_return answer.error();
  }
  co_return NetErrc::no_common_protocol;
}

awaitable<Result<std::string>> answer_protocol(ByteStream& stream,
                                               std::vector<std::string> protocols) {
  CO_CHECK(co_await read_header(stream));
  CO_CHECK(co_await write_token(stream, kHeader));
  for (int proposals = 0; proposals < kMaxProposals; ++proposals) {
    CO_TRY(auto proposal, co_await read_token(stream));
    if (std::ranges::find(protocols, proposal) != protocols.end()) {
      CO_CHECK(co_await write_token(stream, proposal));
      co_return proposal;
    }
    CO_CHECK(co_await write_token(stream, kNotAvailable));
  }
  co_return NetErrc::no_common_protocol;
}

std::unique_ptr<ByteStream> propose_lazily(std::unique_ptr<ByteStream> stream,
                                           std::string protocol) {
  return std::make_unique<LazyStream>(std::move(stream), std::move(protocol));
}

}  // namespace hagring::dht
