// SPDX-License-Identifier: Apache-2.0
#include "registry/route.hpp"

#include "registry/reference.hpp"
#include "userspace/http/url.hpp"

namespace hagring::registry {
namespace {

constexpr std::string_view kPrefix = "/v2/";

/// Reads `<name>/<kind>/<reference>` into `route`; false when it is no such path. Names may contain
/// `manifests` and `blobs` themselves, so that the path is read from its end.
bool parse_read(std::string_view path, Route& route) {
  const auto last = path.rfind('/');
  if (last == std::string_view::npos || last == 0) return false;
  const auto before = path.rfind('/', last - 1);
  if (before == std::string_view::npos) return false;
  const auto name = path.substr(0, before);
  const auto kind = path.substr(before + 1, last - before - 1);
  const auto reference = path.substr(last + 1);
  if (!is_repository(name)) return false;
  route.digest = Digest::parse(reference);
  if (kind == "manifests") {
    if (!route.digest && !is_tag(reference)) return false;
    if (!route.digest) route.tag = reference;
    route.kind = Route::Kind::manifest;
  } else if (kind == "blobs" && route.digest) {
    route.kind = Route::Kind::blob;
  } else {
    return false;
  }
  route.repository = name;
  return true;
}

}  // namespace

Route route(std::string_view method, std::string_view target) {
  Route route;
  route.head = method == "HEAD";
  if (!route.head && method != "GET") return {};
  const auto parts = http::split_target(target);
  if (!parts) return {};
  // `sha256%3A…` is the same digest; a slash that was escaped is no separator, so leave it alone.
  const auto path = http::percent_decoded(parts->path);
  if (!path || path->find("//") != std::string::npos ||
      std::count(path->begin(), path->end(), '/') !=
          std::count(parts->path.begin(), parts->path.end(), '/')) {
    return {};
  }
  if (!path->starts_with(kPrefix) && *path != "/v2") return {};
  if (path->size() <= kPrefix.size()) {
    route.kind = Route::Kind::version;
    return route;
  }
  if (auto ns = http::query_value(parts->query, "ns"); ns && !ns->empty()) {
    if (!is_registry(*ns)) return {};
    route.registry = registry_of_host(*ns);
  }
  if (!parse_read(std::string_view(*path).substr(kPrefix.size()), route)) return {};
  return route;
}

}  // namespace hagring::registry
