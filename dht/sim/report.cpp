// SPDX-License-Identifier: Apache-2.0
#include "dht/sim/report.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

namespace hagring::sim {

void Report::section(std::string name) { sections_.push_back({std::move(name)}); }

void Report::add(std::string name, double value, std::string unit) {
  if (sections_.empty()) section("simulation");
  sections_.back().values.push_back({std::move(name), value, std::move(unit)});
}

void Report::add(const SearchStatistics& searches) {
  add("searches", static_cast<double>(searches.searches));
  add("found", searches.share_found() * 100, "%");
  add("rounds_to_first_mean", searches.rounds.mean());
  add("rounds_to_first_p99", searches.rounds.quantile(0.99));
  add("rounds_to_first_most", searches.rounds.quantile(1));
  add("messages_mean", searches.messages.mean());
  add("messages_p99", searches.messages.quantile(0.99));
  add("first_provider_mean", searches.first.mean(), "ms");
  add("first_provider_p50", searches.first.quantile(0.5), "ms");
  add("first_provider_p99", searches.first.quantile(0.99), "ms");
  add("completion_mean", searches.total.mean(), "ms");
  add("completion_p99", searches.total.quantile(0.99), "ms");
}

void Report::require(bool holds, std::string text) {
  if (!holds) broken_.push_back(std::move(text));
}

std::string Report::text() const {
  std::string text = fmt::format("seed {}\n", seed_);
  for (const Section& section : sections_) {
    text += section.name + "\n";
    for (const Value& value : section.values) {
      text += fmt::format("  {:<32} {:>12.10g} {}\n", value.name,
                          std::round(value.value * 1000) / 1000, value.unit);
    }
  }
  for (const std::string& broken : broken_) text += "BROKEN: " + broken + "\n";
  return text;
}

std::string Report::json() const {
  nlohmann::ordered_json document;
  document["seed"] = seed_;
  for (const Section& section : sections_) {
    for (const Value& value : section.values) {
      const std::string unit = value.unit == "%" ? "percent" : value.unit;
      document[section.name][unit.empty() ? value.name : value.name + "_" + unit] = value.value;
    }
  }
  document["broken"] = broken_;
  return document.dump(2) + "\n";
}

}  // namespace hagring::sim
