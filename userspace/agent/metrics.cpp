// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/metrics.hpp"

#include <array>
#include <mutex>
#include <set>

namespace hagring::agent {
namespace {

using registry::Pull;
using registry::PullKind;

constexpr std::size_t kMaxRegistries = 64;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

/// From a hit in this node's store to an origin that is waited for.
constexpr std::array kFirstByteBounds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                      0.25,   0.5,   1.0,    2.5,   5.0,  10.0,  30.0};
/// From a record held here to a search that nobody answers.
constexpr std::array kLookupBounds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05,
                                   0.1,    0.25,  0.5,    1.0,   2.5,  5.0};

}  // namespace

std::string_view result_of(const Pull& pull) {
  if (!pull.complete) return "broken_off";
  if (pull.status < 400) return "ok";
  switch (pull.status) {
    case 401:
    case 403:
      return "denied";
    case 404:
      return "not_found";
    case 429:
      return "rate_limited";
    default:
      return pull.status < 500 ? "refused" : "failed";
  }
}

struct Metrics::State {
  /// Threat: mirrored names with a `*` are many, and a client chooses among them.
  std::string label_for(const Pull& pull) {
    if (!pull.mirrored) return "other";
    if (known.contains(pull.registry)) return pull.registry;
    if (known.size() >= kMaxRegistries) return "other";
    known.insert(pull.registry);
    return pull.registry;
  }

  std::vector<MetricFamily> collect() const;

  std::mutex mutex{};  ///< of all that follows
  std::set<std::string> known{};
  std::map<MetricLabels, std::uint64_t> requests{};
  std::map<MetricLabels, std::uint64_t> bytes{};
  std::map<std::string, Histogram> first_byte{};  ///< by source
  Histogram lookups{kLookupBounds};
  std::uint64_t lookups_in_vain = 0;
};

std::vector<MetricFamily> Metrics::State::collect() const {
  const auto counter = [](std::string name, std::string help,
                          const std::map<MetricLabels, std::uint64_t>& counts) {
    MetricFamily family{std::move(name), std::move(help), MetricType::counter};
    for (const auto& [labels, count] : counts) {
      family.samples.push_back({labels, static_cast<double>(count)});
    }
    return family;
  };
  MetricFamily heads{"hagring_mirror_first_byte_seconds",
                     "From a request's head to the head of its answer, reads of manifests and "
                     "blobs.",
                     MetricType::histogram};
  for (const auto& [source, seen] : first_byte) seen.append_to(heads, {{"source", source}});
  MetricFamily searches{"hagring_dht_lookup_seconds",
                        "From a search's begin to its first provider.", MetricType::histogram};
  lookups.append_to(searches, {});
  return {counter("hagring_mirror_requests_total",
                  "Requests of intercepted clients, by registry, by where the answer came from, "
                  "and by how it ended.",
                  requests),
          counter("hagring_mirror_response_bytes_total",
                  "Bytes of bodies sent to intercepted clients, by where they came from.", bytes),
          std::move(heads), std::move(searches),
          counter("hagring_dht_lookups_without_provider_total", "Searches that found nobody.",
                  {{MetricLabels(), lookups_in_vain}})};
}

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

void Metrics::answered(const Pull& pull) {
  const std::string source(to_string(pull.source));
  const std::lock_guard lock(state_->mutex);
  const auto registry = state_->label_for(pull);
  ++state_->requests[{
      {"registry", registry}, {"source", source}, {"result", std::string(result_of(pull))}}];
  state_->bytes[{{"registry", registry}, {"source", source}}] += pull.bytes;
  if (pull.kind == PullKind::other || pull.status == 0) return;
  state_->first_byte.try_emplace(source, kFirstByteBounds)
      .first->second.observe(seconds(pull.first_byte));
}

void Metrics::looked_up(std::optional<Duration> first_provider) {
  const std::lock_guard lock(state_->mutex);
  if (first_provider) {
    state_->lookups.observe(seconds(*first_provider));
  } else {
    ++state_->lookups_in_vain;
  }
}

std::string Metrics::render(const std::vector<MetricFamily>& others) const {
  std::vector<MetricFamily> own;
  {
    const std::lock_guard lock(state_->mutex);
    own = state_->collect();
  }
  return write_metrics(own) + write_metrics(others);
}

}  // namespace hagring::agent
