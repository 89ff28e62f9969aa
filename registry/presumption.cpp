// SPDX-License-Identifier: Apache-2.0
#include "registry/presumption.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "registry/reference.hpp"
#include "userspace/base/deadline.hpp"

namespace hagring::registry {
namespace {

using Names = Privacy::Names;

/// Inquiries begun for one request.
constexpr std::size_t kAskedAtOnce = 4;
/// Repositories of one digest that are looked at: base layers are shared by many.
constexpr std::size_t kMaxSources = 16;

/// What the runtime asks for a manifest with (core/remotes/docker/resolver.go).
constexpr std::string_view kManifestTypes =
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*";

/// How one repository stands by itself.
Standing standing_of(const Policy& policy, const Privacy& privacy, const std::string& repository) {
  const auto reference = Reference::parse(repository);
  if (!reference) return Standing::undecided;
  const auto decision = policy.decide(*reference);
  const auto known = privacy.knowledge(repository);
  if (decision.authorize == Authorize::open || known.said == Audience::everybody) {
    return Standing::free;
  }
  const bool asked = decision.mirror && policy.mirrors(reference->registry);
  if (!asked || known.said == Audience::some) return Standing::kept;
  if (known.inquiry != Knowledge::Inquiry::unreachable) return Standing::undecided;
  return known.refused ? Standing::kept : Standing::unreachable;
}

/// Of two repositories of one registry: one that is for everybody frees, one that isn't decided yet
/// may.
Standing among_one_registry(Standing a, Standing b) {
  if (a == Standing::free || b == Standing::free) return Standing::free;
  if (a == Standing::undecided || b == Standing::undecided) return Standing::undecided;
  return std::max(a, b);
}

bool is_to_be_asked(const Policy& policy, const Privacy& privacy, const std::string& repository) {
  const auto reference = Reference::parse(repository);
  if (!reference || privacy.knowledge(repository).believed) return false;
  const auto decision = policy.decide(*reference);
  return decision.mirror && decision.authorize != Authorize::open &&
         policy.mirrors(reference->registry);
}

/// The repositories' names, `first` before the others, and of each registry at least one.
Names names_of(const Policy& policy, const std::vector<ContentSource>& sources,
               const std::string& first) {
  Names all;
  for (const auto& source : sources) {
    auto registries = policy.registries_at(source.registry);
    if (registries.empty()) registries.push_back(source.registry);
    for (const auto& registry : registries) {
      auto name = registry + "/" + source.repository;
      const auto reference = Reference::parse(name);
      const bool is_name = reference && !reference->tag && !reference->digest;
      all.push_back(is_name ? std::move(name) : std::string(kUnknownSource));
    }
  }
  const auto place = std::ranges::find(all, first);
  if (place != all.end()) std::rotate(all.begin(), place, place + 1);
  std::set<std::string, std::less<>> seen;
  auto ordered = all.begin();
  for (auto name = all.begin(); name != all.end(); ++name) {
    if (seen.emplace(registry_of(*name)).second) std::rotate(ordered++, name, name + 1);
  }
  if (all.size() > kMaxSources) all.resize(kMaxSources);
  if (seen.size() > kMaxSources) all.emplace_back(kUnknownSource);
  return all;
}

}  // namespace

Standing standing_of(const Policy& policy, const Privacy& privacy, const Names& repositories) {
  std::map<std::string_view, Standing> registries;
  for (const auto& repository : repositories) {
    const auto standing = standing_of(policy, privacy, repository);
    const auto [known, is_new] = registries.try_emplace(registry_of(repository), standing);
    if (!is_new) known->second = among_one_registry(known->second, standing);
  }
  auto worst = Standing::free;
  for (const auto& [registry, standing] : registries) worst = std::max(worst, standing);
  return worst;
}

awaitable<Sources> sources_of(ContentStore& store, const Policy& policy, Privacy& privacy,
                              Digest digest, std::string first) {
  if (privacy.came_free(digest)) co_return Sources{.here = true};
  const auto sources = co_await store.sources(digest);
  const bool here = sources || sources.error() != Errc::not_found;
  if (sources && !sources->empty()) {
    privacy.presume(digest, names_of(policy, *sources, first));
  } else if (!sources && here && privacy.presumed(digest).empty()) {
    privacy.presume(digest, {std::string(kUnknownSource)});
  }
  co_return Sources{.names = privacy.presumed(digest), .here = here};
}

Names begin_inquiries(const Policy& policy, Privacy& privacy, const Names& repositories) {
  Names begun;
  for (const auto& repository : repositories) {
    if (begun.size() == kAskedAtOnce) break;
    if (is_to_be_asked(policy, privacy, repository) && privacy.begin_inquiry(repository)) {
      begun.push_back(repository);
    }
  }
  return begun;
}

awaitable<Standing> wait_for_standing(Clock& clock, const Policy& policy, Privacy& privacy,
                                      Names repositories, Duration limit) {
  const auto end = clock.now() + limit;
  const auto under_way = [&](const std::string& repository) {
    return privacy.knowledge(repository).inquiry == Knowledge::Inquiry::under_way;
  };
  while (true) {
    const auto fate = std::make_shared<Fate>(co_await asio::this_coro::executor, clock);
    privacy.watch(fate);
    const auto standing = standing_of(policy, privacy, repositories);
    const bool over = clock.now() >= end || co_await asked_to_stop();
    if (standing != Standing::undecided || over || std::ranges::none_of(repositories, under_way)) {
      co_return standing;
    }
    co_await fate->sleep_until(end);
  }
}

std::optional<AnonymousQuestion> anonymous_question(const Policy& policy,
                                                    const std::string& repository,
                                                    const Digest& digest, bool manifest) {
  const auto reference = Reference::parse(repository);
  const auto server = reference ? policy.server_of(reference->registry) : std::nullopt;
  if (!server) return std::nullopt;
  const bool usual = server->port == (server->plain ? 80 : 443);
  http::Request request{
      .method = "HEAD",
      .target = fmt::format("/v2/{}/{}/{}", reference->repository, manifest ? "manifests" : "blobs",
                            digest.to_string())};
  request.headers.add("Host",
                      usual ? server->host : fmt::format("{}:{}", server->host, server->port));
  request.headers.add("User-Agent", "hagring");
  request.headers.add("Accept", std::string(manifest ? kManifestTypes : "*/*"));
  return AnonymousQuestion{
      .to = {.host = server->host, .port = server->port, .tls = !server->plain, .preferred = {}},
      .request = std::move(request)};
}

}  // namespace hagring::registry
