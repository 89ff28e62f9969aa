// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "bpf/redirect_abi.h"

struct redirect_bpf;

namespace hagring::redirect {

/// The loaded skeleton.
struct FreeHookObject {
  void operator()(redirect_bpf* object) const noexcept;
};
using HookObject = std::unique_ptr<redirect_bpf, FreeHookObject>;

/// Opens, configures and loads bpf/redirect.bpf.c. Throws StartError.
HookObject load_hook_object(std::uint32_t max_flows, bool netns_cookie_known);

/// The one value of map `config`, mapped into memory.
class MappedConfig {
 public:
  /// Throws StartError.
  explicit MappedConfig(int map_fd);
  ~MappedConfig();
  MappedConfig(const MappedConfig&) = delete;
  MappedConfig& operator=(const MappedConfig&) = delete;

  abi::config* operator->() const { return config_; }

 private:
  std::size_t length_;
  abi::config* config_;
};

}  // namespace hagring::redirect
