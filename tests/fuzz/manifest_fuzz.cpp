// SPDX-License-Identifier: Apache-2.0
// Manifests, as any peer or origin may send them.
#include <cstdlib>

#include "registry/manifest.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto manifest = hagring::registry::parse_manifest({data, size});
  if (!manifest) return 0;
  const auto& type = manifest->media_type;
  if (type.find('/') == std::string::npos || type.size() > 255) std::abort();
  return 0;
}
