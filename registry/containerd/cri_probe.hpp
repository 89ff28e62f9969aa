// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "userspace/base/asio.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"

namespace hagring::containerd {

/// How a pull over CRI ended.
struct PullOutcome {
  bool pulled = false;
  std::string image_ref{};  ///< of an image that was pulled
  std::string status{};     ///< gRPC's name for the failure, such as `NotFound`
  /// containerd's own words, which name the URL that failed and why; or what to check when CRI
  /// can't be asked at all.
  std::string text{};
  bool cri_is_missing = false;  ///< containerd answers, but its CRI plugin is off or failed to load
};

/// What CRI says of itself.
struct RuntimeVersion {
  std::string name;     ///< `containerd`
  std::string version;  ///< `1.6.20~ds1`
};

/// Asks a containerd over CRI, as kubelet does. Calls run on the caller's executor; cancelling them
/// cancels the pull. Safe from any thread.
class CriProbe {
 public:
  explicit CriProbe(const std::string& socket);
  ~CriProbe();
  CriProbe(const CriProbe&) = delete;
  CriProbe& operator=(const CriProbe&) = delete;

  /// Has containerd pull `image`; that it fails is an outcome, not an error. Errors:
  /// Errc::timed_out, Errc::cancelled, Errc::unavailable when there is nobody at the socket.
  awaitable<Result<PullOutcome>> pull(std::string image, Duration limit);

  /// Errors: Errc::unsupported without CRI; Errc::unavailable.
  awaitable<Result<RuntimeVersion>> runtime_version();

  /// The CRI plugin's configuration as JSON (`registry.configPath` and more up to 1.7; the image
  /// part is missing from 2.0 on). Errors: as runtime_version(); Errc::not_found when not told.
  awaitable<Result<std::string>> configuration();

 private:
  struct Stubs;
  std::unique_ptr<Stubs> stubs_;
};

}  // namespace hagring::containerd
