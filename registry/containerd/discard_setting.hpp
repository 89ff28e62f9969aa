// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "registry/containerd/client.hpp"

namespace hagring::containerd {

/// Whether the runtime throws layers away once they are unpacked (`discard_unpacked_layers`).
enum class Discards { unknown, no, yes };

std::string_view to_string(Discards discards);

struct DiscardFinding {
  Discards discards = Discards::unknown;
  std::string how{};  ///< where that is known from, or why it isn't, for people
};

/// A running containerd, and where its files are seen.
struct RuntimeProcess {
  std::string socket;
  std::string version;      ///< `2.1.9`
  pid_t pid = 0;            ///< 0: in another pid namespace
  std::string host_root{};  ///< where the host's root is mounted; empty: at `/`
};

/// `containerd.discardUnpackedLayers` of CRI's verbose status, which 1.6 and 1.7 have and 2.x
/// doesn't; nullopt when it isn't there.
std::optional<bool> discards_in_status(std::string_view config_json);

/// Asks, in this order, the images plugin's exports (from 2.4 on), CRI's status (1.6 and 1.7), and
/// the configuration file that the process was started with.
awaitable<DiscardFinding> find_discards(std::shared_ptr<Client> client, RuntimeProcess process);

}  // namespace hagring::containerd
