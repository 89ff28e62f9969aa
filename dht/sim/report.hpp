// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dht/sim/simulation.hpp"

namespace hagring::sim {

/// What a simulation measured, for people and for programs.
class Report {
 public:
  void set_seed(std::uint64_t seed) { seed_ = seed; }
  /// Begins a part; what is added next belongs to it. Both names are words with underscores.
  void section(std::string name);
  void add(std::string name, double value, std::string unit = "");
  void add(const SearchStatistics& searches);
  /// Something that must hold; text says what didn't.
  void require(bool holds, std::string text);

  const std::vector<std::string>& broken() const { return broken_; }

  std::string text() const;
  /// "seed", objects of numbers by section, and "broken", a list of texts.
  std::string json() const;

 private:
  struct Value {
    std::string name;
    double value;
    std::string unit;
  };
  struct Section {
    std::string name;
    std::vector<Value> values = {};
  };

  std::uint64_t seed_ = 0;
  std::vector<Section> sections_;
  std::vector<std::string> broken_;
};

}  // namespace hagring::sim
