// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "userspace/proxy/trust_keeper.hpp"

namespace hagring::agent {

/// Makes containerd pull the probe by CRI.
class CriProber final : public proxy::Prober {
 public:
  /// `socket` tells where containerd listens at the moment; empty: it isn't known.
  explicit CriProber(std::function<std::string()> socket) : socket_(std::move(socket)) {}

  awaitable<std::string> probe(std::string nonce) override;

 private:
  std::function<std::string()> socket_;
};

}  // namespace hagring::agent
