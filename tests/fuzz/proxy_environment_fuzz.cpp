// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/require.hpp"
#include "userspace/base/bytes.hpp"
#include "userspace/egress/proxy_settings.hpp"

using hagring::egress::parse_environment;
using hagring::egress::ProxySettings;
using hagring::fuzz::require;

/// Whatever an environment holds: loopback has no proxy, and what is told to people has no
/// credentials.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ProxySettings settings(parse_environment(hagring::as_text(hagring::ByteView(data, size))));
  require(!settings.proxy_for(true, "127.0.0.1", 443) && !settings.proxy_for(true, "::1", 443));
  require(!settings.proxy_for(false, "localhost", 80));
  (void)settings.proxy_for(true, "a.b.test", 443);
  (void)settings.proxy_for(true, "fd00::1", 443);
  for (const auto* proxy : {&settings.https(), &settings.http()}) {
    if (!*proxy) continue;
    require((*proxy)->shown().find('@') == std::string::npos);
    require((*proxy)->scheme.empty() || ((*proxy)->port != 0 && !(*proxy)->host.empty()));
  }
  return 0;
}
