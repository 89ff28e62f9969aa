// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <cstdlib>
#include "registry/herd/sim/simulation.hpp"
using namespace hagring::herd::sim;
int main(int argc, char** argv) {
  SimulationOptions o;
  if (argc > 1) o.nodes = std::strtoul(argv[1], nullptr, 10);
  if (argc > 2) o.spread = std::chrono::milliseconds(std::atoi(argv[2]));
  if (argc > 3) o.seed = std::strtoul(argv[3], nullptr, 10);
  if (getenv("ONE")) o.layers = {64U << 20};
  auto one = o;
  one.nodes = 1;
  one.spread = {};
  const double single = Simulation(one).run().last();
  std::string f = argc > 4 ? argv[4] : "";
  if (f == "fk") o.fetcher = Fault::kill;
  if (f == "fh") o.fetcher = Fault::hang;
  if (f == "mk") o.middle = Fault::kill;
  if (f == "mh") o.middle = Fault::hang;
  if (f == "ck") o.coordinator = Fault::kill;
  if (f == "ch") o.coordinator = Fault::hang;
  if (f == "liar") o.liar = true;
  if (f == "slow") o.slow_share = 0.05;
  if (f == "slow8") o.slow_share = 0.125;
  if (f == "slowk") o.slow_share = 0.05, o.slow_known = true;
  if (f == "part")
    o.partition_from = std::chrono::milliseconds(100),
    o.partition_until = std::chrono::milliseconds(3000);
  if (f == "missing") o.missing = 0.1;
  if (f == "zones") o.zones = 3;
  if (f == "nocred") o.no_credentials = 0.9;
  if (f == "cap") o.upload_capped = 0.3;
  if (f == "whole") {
    o.whole = true;
    o.layers = {2000, 5000, 100000, 200000};
  }
  auto r = Simulation(o).run();
  fmt::print(
      "n {} spread {} seed {} {}: last/single {:.3f} p50 {:.3f} slow {:.2f} origin {:.3f} req {} "
      "depth {} msg/node {:.0f} bytes {:.0f} busiest {} unfinished {} gaveup {} lost {} coord {}\n",
      o.nodes, argc > 2 ? argv[2] : "0", o.seed, f, r.last() / single,
      r.seconds.empty() ? 0 : r.seconds[r.seconds.size() / 2] / single,
      r.slow_seconds.empty() ? 0 : r.slow_seconds.back() / single, r.origin_images,
      r.origin_requests, r.depth, r.messages, r.message_bytes, r.busiest, r.unfinished, r.gave_up,
      r.lost_parents, r.coordinators);
  for (auto& b : r.broken) fmt::print("BROKEN {}\n", b);
}
