// SPDX-License-Identifier: Apache-2.0
// Request targets, references and URLs: what is taken must be read alike when it is written again.
#include <cstdlib>

#include "registry/reference.hpp"
#include "registry/route.hpp"
#include "userspace/http/url.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hagring;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto route = registry::route("GET", text);
  if (route.kind == registry::Route::Kind::manifest || route.kind == registry::Route::Kind::blob) {
    require(registry::is_repository(route.repository));
    require(route.tag.has_value() != route.digest.has_value());
    require(route.registry.empty() || registry::is_registry(route.registry));
    const bool blob = route.kind == registry::Route::Kind::blob;
    const auto again =
        registry::route("GET", "/v2/" + route.repository + (blob ? "/blobs/" : "/manifests/") +
                                   (route.tag ? *route.tag : route.digest->to_string()));
    require(again.kind == route.kind && again.repository == route.repository &&
            again.tag == route.tag && again.digest == route.digest);
  }
  if (const auto reference = registry::Reference::parse(text)) {
    require(reference->to_string() == text);
    require(registry::Reference::parse(reference->to_string()) == reference);
  }
  if (const auto url = http::parse_url(text)) {
    const auto again = http::parse_url(url->to_string());
    require(again && *again == *url);
  }
  static const auto base = *http::parse_url("https://registry.example/v2/a/blobs/b?c");
  if (const auto url = http::resolve_url(base, text)) {
    require(http::split_target(url->target).has_value());
    require(url->scheme == "http" || url->scheme == "https");
  }
  return 0;
}
