// SPDX-License-Identifier: Apache-2.0
#include "dht/sim/scenario.hpp"

#include <fmt/core.h>

#include "dht/sim/findability.hpp"

namespace hagring::sim {
namespace {

using std::chrono::seconds;

constexpr std::size_t kSampledKeys = 1000;
constexpr std::size_t kWatchedKeys = 50;
constexpr Duration kLongestGap = seconds(5);

double in_seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

class Scenario {
 public:
  explicit Scenario(const ScenarioOptions& options)
      : options_(options),
        sim_(options.network),
        interval_(options.network.kad.providing.interval) {}

  Report take() { return std::move(report_); }

  void grow() {
    const TimePoint before = sim_.clock().now();
    const bool joined = sim_.grow();
    report_.section("start");
    report_.add("until_all_had_joined", in_seconds(sim_.clock().now() - before), "s");
    report_.require(joined, "a node has not joined within 2 minutes");
    traffic("messages_per_node", 1);
    tables();
  }

  void provide() {
    const TimePoint before = sim_.clock().now();
    const bool told = sim_.provide();
    report_.section("providing");
    report_.add("until_all_were_told", in_seconds(sim_.clock().now() - before), "s");
    report_.require(told, "a key has not been told to anybody within 5 minutes");
    report_.add("at_the_nearest", 100 * sim_.placed_right(sim_.keys(200)), "%");
    traffic("messages_per_node", 1);
  }

  void steady() {
    const double churned = options_.churn * options_.network.nodes / 60;
    double due = 0;
    (void)sim_.run_until(
        [&] {
          for (due += churned; due >= 1; due -= 1) sim_.replace_one();
          return false;
        },
        options_.steady);
    const auto counters = traffic_since_last();
    const double share = 1 / (options_.network.nodes * in_seconds(options_.steady));
    report_.section("steady");
    report_.add("contacts_per_node_and_second", static_cast<double>(counters.contacts) * share);
    report_.add("messages_per_node_and_second", static_cast<double>(counters.requests) * share);
    report_.add("replies_per_node_and_second", static_cast<double>(counters.replies) * share);
    report_.add("add_provider_per_node_and_second", static_cast<double>(counters.stored) * share);
    report_.add("failed_per_node_and_second", static_cast<double>(counters.failed) * share);
    report_.add("bytes_per_node_and_second", static_cast<double>(counters.bytes) * share);
    report_.add("at_the_nearest", 100 * sim_.placed_right(sim_.keys(200)), "%");
    tables();
  }

  void search() {
    report_.section("searches_for_one");
    const SearchStatistics first = sim_.search(options_.searches);
    report_.add(first);
    if (options_.network.network.loss == 0 && options_.churn == 0) {
      report_.require(first.share_found() >= 0.999, "less than 99.9 % of keys were found");
    }
    report_.section("searches_for_all");
    report_.add(sim_.search(options_.searches / 4 + 1, true));
    (void)traffic_since_last();
  }

  void kill() {
    sim_.kill(options_.kill);
    report_.section("killed");
    auto keys = sim_.keys(kSampledKeys);
    const auto count = static_cast<double>(keys.size());
    report_.add(sim_.search(keys));
    const double missed = static_cast<double>(keys.size());
    (void)sim_.search(keys);
    const double found = 100 * (1 - static_cast<double>(keys.size()) / count);
    report_.add("found_at_the_second_try", found, "%");
    report_.add("missed_at_the_first_try", missed);
    report_.require(found >= 99.9, "less than 99.9 % of the live keys were found at the next try");
  }

  void partition() {
    sim_.split(1.0 / 3);
    sim_.run_for(options_.partition);
    auto keys = sim_.keys(kSampledKeys);
    const auto split = sim_.search(keys);
    sim_.heal();
    const TimePoint healed = sim_.clock().now();
    keys = sim_.keys(kSampledKeys);
    const bool all = sim_.run_until(
        [&] {
          sim_.run_for(seconds(9));
          (void)sim_.search(keys);
          return keys.empty();
        },
        interval_);
    report_.section("partition");
    report_.add("found_while_split", 100 * split.share_found(), "%");
    report_.add("until_all_are_found_again", in_seconds(sim_.clock().now() - healed), "s");
    report_.add("never_found", static_cast<double>(keys.size()));
    report_.require(all, "a key was not found within one interval after the partition had healed");
  }

  void restart() {
    const auto at_once = std::max<std::size_t>(
        1, static_cast<std::size_t>(options_.restart_share * options_.network.nodes));
    std::uint32_t next = 0;
    TimePoint due = sim_.clock().now();
    const TimePoint before = due;
    Findability findability(sim_, sim_.keys(kWatchedKeys));
    const bool done = findability.watch(
        [&] {
          if (sim_.clock().now() < due) return false;
          due = sim_.clock().now() + options_.restart_pause + seconds(2);
          for (std::size_t i = 0; i < at_once && next < sim_.size(); ++i) {
            sim_.restart(next++, options_.restart_pause);
          }
          return next == sim_.size();
        },
        std::chrono::hours(24));
    // What the last ones had in hand shows for a while.
    (void)findability.watch([&] { return sim_.clock().now() > due + seconds(60); },
                            std::chrono::hours(1));
    report_.section("rolling_restart");
    report_.add("duration", in_seconds(sim_.clock().now() - before), "s");
    report_.add("searches", static_cast<double>(findability.searches()));
    report_.add("missed", static_cast<double>(findability.missed()));
    report_.add("longest_gap", in_seconds(findability.longest_gap()), "s");
    report_.require(done && findability.longest_gap() <= kLongestGap,
                    "a key could not be found for more than 5 s in the rolling restart");
    report_.add("at_the_nearest", 100 * sim_.placed_right(sim_.keys(200)), "%");
  }

 private:
  SimNetwork::Counters traffic_since_last() {
    const auto& now = sim_.network().counters();
    const SimNetwork::Counters since{now.requests - last_.requests, now.replies - last_.replies,
                                     now.contacts - last_.contacts, now.stored - last_.stored,
                                     now.failed - last_.failed,     now.bytes - last_.bytes};
    last_ = now;
    return since;
  }

  void traffic(std::string name, double per) {
    report_.add(std::move(name), static_cast<double>(traffic_since_last().requests) /
                                     (options_.network.nodes * per));
  }

  void tables() {
    Samples sizes;
    for (const SimNode* node : sim_.up()) {
      sizes.add(static_cast<double>(node->kad().table().size()));
    }
    report_.add("table_mean", sizes.mean(), "peers");
    report_.add("table_least", sizes.quantile(0), "peers");
    report_.add("table_most", sizes.quantile(1), "peers");
  }

  const ScenarioOptions& options_;
  Simulation sim_;
  Duration interval_;
  Report report_;
  SimNetwork::Counters last_;
};

}  // namespace

Report run(const ScenarioOptions& options,
           const std::function<void(const std::string&)>& progress) {
  Scenario scenario(options);
  const auto step = [&](bool wanted, const char* text, void (Scenario::*part)()) {
    if (!wanted) return;
    progress(text);
    (scenario.*part)();
  };
  step(true, "the nodes come up", &Scenario::grow);
  const bool keys = options.network.keys_per_node > 0 && options.network.nodes > 1;
  step(keys, "they provide their keys", &Scenario::provide);
  step(options.steady > Duration(0), "time goes by", &Scenario::steady);
  step(keys && options.searches > 0, "keys are searched", &Scenario::search);
  step(keys && options.rolling_restart, "every node is restarted", &Scenario::restart);
  step(keys && options.partition > Duration(0), "the network is split", &Scenario::partition);
  step(keys && options.kill > 0, "nodes are killed", &Scenario::kill);
  return scenario.take();
}

}  // namespace hagring::sim
