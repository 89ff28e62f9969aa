// SPDX-License-Identifier: Apache-2.0
#include "dht/net/pnet.hpp"

#include <sodium.h>

#include <algorithm>

#include "dht/net/exact.hpp"

namespace hagring::dht {
namespace {

constexpr std::string_view kKeyHead = "/key/swarm/psk/1.0.0/";
constexpr std::string_view kKeyEncoding = "/base16/";
/// What is encrypted and written at a time.
constexpr std::size_t kChunk = std::size_t{64} * 1024;
constexpr std::size_t kBlock = 64;  // of Salsa20

static_assert(crypto_stream_xsalsa20_KEYBYTES == sizeof(NetworkKey));
static_assert(crypto_stream_xsalsa20_NONCEBYTES == sizeof(NetworkNonce));

/// XSalsa20 from where it was left.
class Keystream {
 public:
  Keystream(const NetworkKey& key, const NetworkNonce& nonce) : key_(key), nonce_(nonce) {}
  ~Keystream() { sodium_memzero(key_.data(), key_.size()); }

  void apply(MutableBytes bytes) {
    while (!bytes.empty()) {
      // libsodium counts in blocks: what is left of one is applied from a copy.
      const auto within = static_cast<std::size_t>(position_ % kBlock);
      if (within == 0 && bytes.size() >= kBlock) {
        const auto whole = bytes.size() / kBlock * kBlock;
        crypto_stream_xsalsa20_xor_ic(bytes.data(), bytes.data(), whole, nonce_.data(),
                                      position_ / kBlock, key_.data());
        position_ += whole;
        bytes = bytes.subspan(whole);
        continue;
      }
      std::array<std::uint8_t, kBlock> block{};
      crypto_stream_xsalsa20_xor_ic(block.data(), block.data(), block.size(), nonce_.data(),
                                    position_ / kBlock, key_.data());
      const auto size = std::min(bytes.size(), kBlock - within);
      for (std::size_t i = 0; i < size; ++i) bytes[i] ^= block[within + i];
      position_ += size;
      bytes = bytes.subspan(size);
    }
  }

 private:
  NetworkKey key_;
  NetworkNonce nonce_;
  std::uint64_t position_ = 0;
};

class PrivateStream final : public ByteStream {
 public:
  PrivateStream(std::unique_ptr<ByteStream> below, const NetworkKey& key, const NetworkNonce& nonce)
      : below_(std::move(below)), key_(key), nonce_(nonce), out_(key, nonce) {}
  ~PrivateStream() override { sodium_memzero(key_.data(), key_.size()); }

  awaitable<Result<std::size_t>> read_some(MutableBytes into) override {
    if (!in_) {
      CO_CHECK(co_await introduce());
      NetworkNonce theirs{};
      CO_CHECK(co_await read_exactly(*below_, theirs));
      in_.emplace(key_, theirs);
    }
    CO_TRY(const auto size, co_await below_->read_some(into));
    in_->apply(into.first(size));
    co_return size;
  }

  awaitable<Result<void>> write(ByteView from) override {
    CO_CHECK(co_await introduce());
    Bytes chunk;
    while (!from.empty()) {
      const auto part = from.first(std::min(from.size(), kChunk));
      chunk.assign(part.begin(), part.end());
      out_.apply(chunk);
      CO_CHECK(co_await below_->write(chunk));
      from = from.subspan(part.size());
    }
    co_return Result<void>();
  }

  awaitable<Result<void>> shutdown_write() override {
    CO_CHECK(co_await introduce());
    co_return co_await below_->shutdown_write();
  }

  void close() override { below_->close(); }
  void set_inactivity_limit(Duration limit) override { below_->set_inactivity_limit(limit); }

 private:
  /// Sends our nonce, once. Of a reader and a writer that start together the second goes on at
  /// once: 24 bytes fit a fresh connection's buffer, so what it writes comes behind them.
  awaitable<Result<void>> introduce() {
    if (std::exchange(introduced_, true)) co_return Result<void>();
    co_return co_await below_->write(nonce_);
  }

  std::unique_ptr<ByteStream> below_;
  NetworkKey key_;
  NetworkNonce nonce_;
  Keystream out_;
  std::optional<Keystream> in_;
  bool introduced_ = false;
};

std::string_view take_line(std::string_view& text) {
  const auto end = std::min(text.find('\n'), text.size());
  auto line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

std::optional<NetworkKey> parse_network_key(std::string_view text) {
  auto line = take_line(text);
  if (line == kKeyHead) {
    if (take_line(text) != kKeyEncoding) return std::nullopt;
    line = take_line(text);
  }
  if (!text.empty()) return std::nullopt;
  const auto bytes = from_hex(line);
  NetworkKey key{};
  if (!bytes || bytes->size() != key.size()) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), key.begin());
  return key;
}

std::string write_network_key(const NetworkKey& key) {
  std::string text(kKeyHead);
  text += '\n';
  text += kKeyEncoding;
  text += '\n' + to_hex(key) + '\n';
  return text;
}

NetworkNonce random_network_nonce() {
  NetworkNonce nonce{};
  randombytes_buf(nonce.data(), nonce.size());
  return nonce;
}

std::unique_ptr<ByteStream> join_private_network(std::unique_ptr<ByteStream> below,
                                                 const NetworkKey& key, const NetworkNonce& nonce) {
  return std::make_unique<PrivateStream>(std::move(below), key, nonce);
}

}  // namespace hagring::dht
