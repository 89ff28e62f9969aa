// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/exposition.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace hagring::agent {
namespace {

std::string_view name_of(MetricType type) {
  switch (type) {
    case MetricType::counter:
      return "counter";
    case MetricType::gauge:
      return "gauge";
    case MetricType::histogram:
      break;
  }
  return "histogram";
}

/// Help texts have line feeds and backslashes escaped, labels' values quotation marks, too.
std::string escape(std::string_view text, bool quoted) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || (quoted && c == '"')) out += '\\';
    out += c;
  }
  return out;
}

std::string write_number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

std::string write_labels(const MetricFamily::Sample& sample) {
  std::string out;
  const auto add = [&out](std::string_view name, std::string_view value) {
    out += fmt::format("{}{}=\"{}\"", out.empty() ? '{' : ',', name, escape(value, true));
  };
  for (const auto& [name, value] : sample.labels) add(name, value);
  if (!sample.bound.empty()) add("le", sample.bound);
  return out.empty() ? out : out + '}';
}

}  // namespace

Histogram::Histogram(std::span<const double> bounds)
    : bounds_(bounds), counts_(bounds.size() + 1) {}

void Histogram::observe(double value) {
  const auto bucket = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
  ++counts_[static_cast<std::size_t>(bucket)];
  sum_ += value;
}

void Histogram::append_to(MetricFamily& family, const MetricLabels& labels) const {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    total += counts_[i];
    family.samples.push_back({labels, static_cast<double>(total), "_bucket",
                              i < bounds_.size() ? write_number(bounds_[i]) : "+Inf"});
  }
  family.samples.push_back({labels, sum_, "_sum"});
  family.samples.push_back({labels, static_cast<double>(total), "_count"});
}

std::string write_metrics(std::span<const MetricFamily> families) {
  std::string out;
  for (const auto& family : families) {
    if (family.samples.empty()) continue;
    auto end = std::back_inserter(out);
    if (!family.help.empty()) {
      fmt::format_to(end, "# HELP {} {}\n", family.name, escape(family.help, false));
    }
    fmt::format_to(end, "# TYPE {} {}\n", family.name, name_of(family.type));
    for (const auto& sample : family.samples) {
      fmt::format_to(end, "{}{}{} {}\n", family.name, sample.suffix, write_labels(sample),
                     write_number(sample.value));
    }
  }
  return out;
}

}  // namespace hagring::agent
