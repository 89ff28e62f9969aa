// SPDX-License-Identifier: Apache-2.0
#include "registry/static_router.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <functional>

namespace hagring::registry {
namespace {

class ListSearch final : public PeerSearch {
 public:
  explicit ListSearch(std::vector<Peer> peers) : peers_(std::move(peers)) {}

  awaitable<Result<Peer>> next() override {
    if (position_ == peers_.size()) co_return Errc::end_of_stream;
    co_return peers_[position_++];
  }

 private:
  std::vector<Peer> peers_;
  std::size_t position_ = 0;
};

}  // namespace

std::unique_ptr<PeerSearch> StaticRouter::find(std::string key) {
  auto peers = peers_;
  if (!peers.empty()) {
    const auto first = std::hash<std::string>()(key) % peers.size();
    std::ranges::rotate(peers, peers.begin() + static_cast<std::ptrdiff_t>(first));
  }
  return std::make_unique<ListSearch>(std::move(peers));
}

awaitable<Result<void>> StaticRouter::announce(std::vector<std::string>) {
  co_return Result<void>();
}

awaitable<Result<void>> StaticRouter::withdraw(std::vector<std::string>) {
  co_return Result<void>();
}

Peer parse_peer(std::string_view text) {
  const auto refuse = [&] {
    throw StartError(
        fmt::format("peer \"{}\": expected address:port (an IPv6 address in brackets), for example "
                    "192.0.2.7:5000",
                    text));
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) refuse();
  auto host = text.substr(0, colon);
  const auto digits = text.substr(colon + 1);
  if (host.starts_with('[') != host.ends_with(']')) refuse();
  if (host.starts_with('[')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    refuse();
  }
  std::uint16_t port = 0;
  const auto [stop, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  error_code error;
  const auto address = asio::ip::make_address(std::string(host), error);
  if (error || wrong != std::errc() || stop != digits.data() + digits.size() || port == 0) refuse();
  return {std::string(text), {address, port}};
}

}  // namespace hagring::registry
