// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "userspace/base/asio.hpp"
#include "userspace/base/result.hpp"

namespace hagring::registry {

/// A node that may have some content, and where its peer server listens.
struct Peer {
  std::string name;  ///< its address, as shown to people
  asio::ip::tcp::endpoint address;
  /// Who must answer there (for the gate: the text of the peer ID); empty: not known.
  std::string identity{};

  /// What its conduct is remembered by. Threat: an address alone is anybody's to claim, and may be
  /// another node's tomorrow.
  std::string key() const { return identity.empty() ? name : name + " " + identity; }
  /// The part of a key() that is for people.
  static std::string_view shown(std::string_view key) { return key.substr(0, key.find(' ')); }
};

/// Peers that have a key, as they are found.
class PeerSearch {
 public:
  /// Ends the search.
  virtual ~PeerSearch() = default;
  /// The next peer. Errors: Errc::end_of_stream when there are no more.
  virtual awaitable<Result<Peer>> next() = 0;
};

/// Finds out who has what. Keys are digests (`sha256:…`) and image names
/// (`docker.io/library/nginx:1.25`). May be called from any of the program's threads.
class ContentRouter {
 public:
  virtual ~ContentRouter() = default;

  /// Starts to look for peers that have `key`. The result is used on the caller's executor.
  virtual std::unique_ptr<PeerSearch> find(std::string key) = 0;

  /// Makes it known, and keeps it known, that this node has `keys`.
  virtual awaitable<Result<void>> announce(std::vector<std::string> keys) = 0;

  /// No longer makes `keys` known.
  virtual awaitable<Result<void>> withdraw(std::vector<std::string> keys) = 0;
};

}  // namespace hagring::registry
