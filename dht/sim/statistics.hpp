// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace hagring::sim {

/// Measured values, and what is said of them. All are 0 when there are none.
class Samples {
 public:
  void add(double value) { values_.push_back(value); }

  std::size_t count() const { return values_.size(); }

  double mean() const {
    if (values_.empty()) return 0;
    return std::accumulate(values_.begin(), values_.end(), 0.0) /
           static_cast<double>(values_.size());
  }

  /// The least value that `share` of all don't exceed: 0.99, 1 (the greatest).
  double quantile(double share) const {
    if (values_.empty()) return 0;
    std::vector<double> sorted = values_;
    std::sort(sorted.begin(), sorted.end());
    const auto rank =
        static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
    return sorted[std::min(std::max<std::size_t>(rank, 1), sorted.size()) - 1];
  }

 private:
  std::vector<double> values_;
};

}  // namespace hagring::sim
