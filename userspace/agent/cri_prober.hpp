// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "userspace/proxy/certificate_authority.hpp"
#include "userspace/proxy/trust_keeper.hpp"

namespace hagring::agent {

/// Makes containerd pull the probe by CRI.
class CriProber final : public proxy::Prober {
 public:
  /// `socket` tells where containerd listens at the moment; empty: it isn't known.
  /// `registry` is the probe's: kProbeAddress, with its port if need be.
  explicit CriProber(std::function<std::string()> socket,
                     std::string registry = proxy::kProbeAddress)
      : socket_(std::move(socket)), registry_(std::move(registry)) {}

  awaitable<std::string> probe(std::string nonce) override;

 private:
  std::function<std::string()> socket_;
  std::string registry_;
};

}  // namespace hagring::agent
