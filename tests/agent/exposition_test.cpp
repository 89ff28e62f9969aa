// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/exposition.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace hagring::agent {
namespace {

std::string write(const MetricFamily& family) { return write_metrics({&family, 1}); }

TEST(Exposition, WritesHelpTypeAndSamples) {
  MetricFamily family{"requests_total", "Requests.", MetricType::counter};
  family.samples.push_back({{{"source", "peer"}, {"result", "ok"}}, 3});
  family.samples.push_back({{}, 0.25});
  EXPECT_EQ(write(family),
            "# HELP requests_total Requests.\n"
            "# TYPE requests_total counter\n"
            "requests_total{result=\"ok\",source=\"peer\"} 3\n"
            "requests_total 0.25\n");
}

TEST(Exposition, NothingOfAFamilyWithoutSamples) { EXPECT_EQ(write({"empty", "Nothing."}), ""); }

TEST(Exposition, WhatALabelHoldsForgesNoLine) {
  MetricFamily family{"a", "back\\slash\nand line", MetricType::gauge};
  family.samples.push_back({{{"x", "\"\\\n} 1"}}, 1});
  EXPECT_EQ(write(family),
            "# HELP a back\\\\slash\\nand line\n"
            "# TYPE a gauge\n"
            "a{x=\"\\\"\\\\\\n} 1\"} 1\n");
}

TEST(Exposition, NumbersAreExactAndLimitsHaveTheirNames) {
  MetricFamily family{"n", "", MetricType::gauge};
  for (const double value : {9007199254740991.0, 0.1, std::numeric_limits<double>::infinity(),
                             std::numeric_limits<double>::quiet_NaN()}) {
    family.samples.push_back({{}, value});
  }
  EXPECT_EQ(write(family), "# TYPE n gauge\nn 9007199254740991\nn 0.1\nn +Inf\nn NaN\n");
}

TEST(Exposition, AHistogramsBucketsIncludeTheSmallerOnes) {
  constexpr std::array kBounds{0.5, 1.0};
  Histogram histogram(kBounds);
  for (const double value : {0.25, 0.5, 0.75, 8.0}) histogram.observe(value);
  MetricFamily family{"h", "", MetricType::histogram};
  histogram.append_to(family, {{"source", "peer"}});
  EXPECT_EQ(write(family),
            "# TYPE h histogram\n"
            "h_bucket{source=\"peer\",le=\"0.5\"} 2\n"
            "h_bucket{source=\"peer\",le=\"1\"} 3\n"
            "h_bucket{source=\"peer\",le=\"+Inf\"} 4\n"
            "h_sum{source=\"peer\"} 9.5\n"
            "h_count{source=\"peer\"} 4\n");
}

}  // namespace
}  // namespace hagring::agent
