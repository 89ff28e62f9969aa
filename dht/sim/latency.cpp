// SPDX-License-Identifier: Apache-2.0
#include "dht/sim/latency.hpp"

#include <cmath>
#include <numbers>

namespace hagring::sim {
namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr double kHeldUp = 0.005;

/// Log-normal, by Box and Muller's method.
double lognormal(kad::Rng& rng, double median, double sigma) {
  const double radius = std::sqrt(-2 * std::log(1 - rng.fraction()));
  return median * std::exp(sigma * radius * std::cos(2 * std::numbers::pi * rng.fraction()));
}

double lan(kad::Rng& rng) {
  if (rng.fraction() < kHeldUp) return 10 * std::pow(20, rng.fraction());
  return lognormal(rng, 0.25, 0.7);
}

/// The distance of two nodes on a map of 1 by 1.
double apart(const kad::PeerId& from, const kad::PeerId& to) {
  const std::size_t a = std::hash<kad::PeerId>{}(from);
  const std::size_t b = std::hash<kad::PeerId>{}(to);
  const auto place = [](std::size_t hash) { return static_cast<double>(hash & 0xffff) / 0x10000; };
  return std::hypot(place(a) - place(b), place(a >> 16) - place(b >> 16));
}

double milliseconds(LatencyModel model, kad::Rng& rng, const kad::PeerId& from,
                    const kad::PeerId& to) {
  switch (model) {
    case LatencyModel::constant:
      return 1;
    case LatencyModel::uniform:
      return 0.2 + 4.8 * rng.fraction();
    case LatencyModel::lan:
      return lan(rng);
    case LatencyModel::wan:
      return 1 + 56 * apart(from, to) + lognormal(rng, 0.5, 1);
  }
  return 0;
}

}  // namespace

std::optional<LatencyModel> latency_model(std::string_view name) {
  if (name == "constant") return LatencyModel::constant;
  if (name == "uniform") return LatencyModel::uniform;
  if (name == "lan") return LatencyModel::lan;
  if (name == "wan") return LatencyModel::wan;
  return std::nullopt;
}

Duration latency(LatencyModel model, kad::Rng& rng, const kad::PeerId& from,
                 const kad::PeerId& to) {
  return std::chrono::duration_cast<Duration>(Milliseconds(milliseconds(model, rng, from, to)));
}

}  // namespace hagring::sim
