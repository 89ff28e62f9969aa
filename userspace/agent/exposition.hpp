// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hagring::agent {

enum class MetricType { counter, gauge, histogram };

using MetricLabels = std::map<std::string, std::string>;

/// A family of metrics as Prometheus' text format 0.0.4 has it ("Exposition formats").
struct MetricFamily {
  struct Sample {
    MetricLabels labels{};
    double value = 0;
    std::string_view suffix{};  ///< behind the family's name; a histogram's have one
    std::string bound{};        ///< a bucket's upper one, label `le`
  };

  std::string name;
  std::string help;
  MetricType type = MetricType::gauge;
  std::vector<Sample> samples{};
};

/// Counts values by size.
class Histogram {
 public:
  /// `bounds`: inclusive upper ones of the buckets, ascending; they outlive the histogram.
  explicit Histogram(std::span<const double> bounds);

  void observe(double value);
  /// Adds what was counted, under `labels`.
  void append_to(MetricFamily& family, const MetricLabels& labels) const;

 private:
  std::span<const double> bounds_;
  std::vector<std::uint64_t> counts_;  ///< one more than bounds: what is beyond them
  double sum_ = 0;
};

/// Those that have samples, in that format.
std::string write_metrics(std::span<const MetricFamily> families);

}  // namespace hagring::agent
