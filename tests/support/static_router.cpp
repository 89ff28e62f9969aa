// SPDX-License-Identifier: Apache-2.0
#include "tests/support/static_router.hpp"

#include <algorithm>
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

}  // namespace hagring::registry
