// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "registry/content_router.hpp"

namespace hagring::registry {

/// A ContentRouter that knows no more than a list of peers: it offers all of them for
/// every key, and whoever lacks the content answers 404. Immutable, so any thread may use it.
class StaticRouter final : public ContentRouter {
 public:
  explicit StaticRouter(std::vector<Peer> peers) : peers_(std::move(peers)) {}

  /// All peers, beginning at one that depends on the key, so that keys spread over peers.
  std::unique_ptr<PeerSearch> find(std::string key) override;

  /// Nothing to do: peers on the list ask this node itself.
  awaitable<Result<void>> announce(std::vector<std::string> keys) override;
  awaitable<Result<void>> withdraw(std::vector<std::string> keys) override;

 private:
  std::vector<Peer> peers_;
};

}  // namespace hagring::registry
