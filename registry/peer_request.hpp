// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/core.h>

#include <string>

#include "registry/fetcher.hpp"
#include "registry/herd/data_frame.hpp"

namespace hagring::registry {

/// A read of the registry's API in the shape that Spegel's nodes send each other
/// (pkg/registry/registry.go): `ns` says which registry is meant, X-Spegel-Mirrored that the peer
/// must not ask others in turn.
inline http::Request peer_read(const Peer& peer, std::string method, std::string path,
                               const std::string& registry, const std::string& accept) {
  http::Request request{.method = std::move(method),
                        .target = fmt::format("/v2/{}?ns={}", path, registry)};
  const auto address = peer.address.address();
  request.headers.add("Host", address.is_v6()
                                  ? fmt::format("[{}]:{}", address.to_string(), peer.address.port())
                                  : fmt::format("{}:{}", address.to_string(), peer.address.port()));
  request.headers.add("X-Spegel-Mirrored", "true");
  if (!accept.empty()) request.headers.add("Accept", accept);
  return request;
}

inline http::Request peer_request(const Peer& peer, std::string method,
                                  const ContentRequest& content, const ContentPart& part) {
  auto request =
      peer_read(peer, std::move(method),
                fmt::format("{}/{}/{}", content.repository,
                            content.manifest ? "manifests" : "blobs", content.digest.to_string()),
                content.registry, content.accept);
  if (part.first > 0 || part.end) {
    ByteRange range{.first = part.first};
    if (part.end) range.last = *part.end - 1;
    request.headers.add("Range", range.to_string());
  }
  if (content.joins && part.first == 0 && !part.end) {
    request.headers.add(std::string(herd::kJoinField), *content.joins);
  }
  return request;
}

}  // namespace hagring::registry
