// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <mutex>
#include <set>

namespace hagring::agent {
namespace {

using registry::Pull;
using registry::PullKind;

constexpr std::size_t kMaxRegistries = 64;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

/// From a hit in this node's store to an origin that is waited for.
const prometheus::Histogram::BucketBoundaries kFirstByteBounds = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};
/// From a record held here to a search that nobody answers.
const prometheus::Histogram::BucketBoundaries kLookupBounds = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5};

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
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests =
      prometheus::BuildCounter()
          .Name("hagring_mirror_requests_total")
          .Help(
              "Requests of intercepted clients, by registry, by where the answer came from, and "
              "by how it ended.")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& bytes =
      prometheus::BuildCounter()
          .Name("hagring_mirror_response_bytes_total")
          .Help("Bytes of bodies sent to intercepted clients, by where they came from.")
          .Register(registry);
  prometheus::Family<prometheus::Histogram>& first_byte =
      prometheus::BuildHistogram()
          .Name("hagring_mirror_first_byte_seconds")
          .Help("From a request's head to the head of its answer, reads of manifests and blobs.")
          .Register(registry);
  prometheus::Histogram& lookups = prometheus::BuildHistogram()
                                       .Name("hagring_dht_lookup_seconds")
                                       .Help("From a search's begin to its first provider.")
                                       .Register(registry)
                                       .Add({}, kLookupBounds);
  prometheus::Counter& lookups_in_vain = prometheus::BuildCounter()
                                             .Name("hagring_dht_lookups_without_provider_total")
                                             .Help("Searches that found nobody.")
                                             .Register(registry)
                                             .Add({});

  /// Threat: mirrored names with a `*` are many, and a client chooses among them.
  std::string label_for(const Pull& pull) {
    if (!pull.mirrored) return "other";
    const std::lock_guard lock(mutex);
    if (known.contains(pull.registry)) return pull.registry;
    if (known.size() >= kMaxRegistries) return "other";
    known.insert(pull.registry);
    return pull.registry;
  }

  std::mutex mutex;
  std::set<std::string> known;
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

void Metrics::answered(const Pull& pull) {
  const auto registry = state_->label_for(pull);
  const std::string source(to_string(pull.source));
  state_->requests
      .Add({{"registry", registry}, {"source", source}, {"result", std::string(result_of(pull))}})
      .Increment();
  state_->bytes.Add({{"registry", registry}, {"source", source}})
      .Increment(static_cast<double>(pull.bytes));
  if (pull.kind == PullKind::other || pull.status == 0) return;
  state_->first_byte.Add({{"source", source}}, kFirstByteBounds).Observe(seconds(pull.first_byte));
}

void Metrics::looked_up(std::optional<Duration> first_provider) {
  if (!first_provider) return state_->lookups_in_vain.Increment();
  state_->lookups.Observe(seconds(*first_provider));
}

std::string Metrics::render(const std::vector<prometheus::MetricFamily>& others) const {
  auto families = state_->registry.Collect();
  families.insert(families.end(), others.begin(), others.end());
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace hagring::agent
