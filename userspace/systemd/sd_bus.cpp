// SPDX-License-Identifier: Apache-2.0
#include "userspace/systemd/sd_bus.hpp"

#include <dlfcn.h>

#include <optional>

#include "userspace/base/log.hpp"

namespace hagring::systemd {
namespace {

/// Of all systemd since 209; deploy/runtime_tree.sh has it, too.
constexpr const char* kLibrary = "libsystemd.so.0";

std::optional<SdBus> load() {
  void* library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    log::warning("systemd", "systemd can't be asked for anything: {}", ::dlerror());
    return std::nullopt;
  }
  SdBus functions;
  bool complete = true;
  const auto find = [&](auto& function, const char* name) {
    function =
        reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
    complete = complete && function != nullptr;
  };
#define HAGRING_FIND(name) find(functions.name, #name)
  HAGRING_SD_BUS_FUNCTIONS(HAGRING_FIND);
#undef HAGRING_FIND
  if (complete) return functions;
  log::warning("systemd", "systemd can't be asked for anything: {} is too old", kLibrary);
  return std::nullopt;
}

}  // namespace

const SdBus* sd_bus_library() {
  static const auto functions = load();
  return functions ? &*functions : nullptr;
}

}  // namespace hagring::systemd
