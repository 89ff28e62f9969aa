// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/metrics.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;
using registry::Pull;
using registry::PullKind;
using registry::PullSource;
using testing::HasSubstr;
using testing::Not;

Pull pull(unsigned status, bool complete = true) {
  return {.registry = "docker.io",
          .mirrored = true,
          .kind = PullKind::blob,
          .source = PullSource::peer,
          .bytes = 1000,
          .first_byte = 3ms,
          .status = status,
          .complete = complete};
}

TEST(Metrics, CountsRequestsByRegistrySourceAndResult) {
  Metrics metrics;
  metrics.answered(pull(200));
  metrics.answered(pull(206));
  metrics.answered(pull(404));
  const auto text = metrics.render({});
  EXPECT_THAT(text, HasSubstr("# TYPE hagring_mirror_requests_total counter"));
  EXPECT_THAT(text, HasSubstr("hagring_mirror_requests_total{registry=\"docker.io\",result=\"ok\","
                              "source=\"peer\"} 2"));
  EXPECT_THAT(text, HasSubstr("result=\"not_found\",source=\"peer\"} 1"));
  EXPECT_THAT(text, HasSubstr("hagring_mirror_response_bytes_total{registry=\"docker.io\","
                              "source=\"peer\"} 3000"));
  EXPECT_THAT(text, HasSubstr("hagring_mirror_first_byte_seconds_bucket{source=\"peer\","
                              "le=\"0.0025\"} 0"));
  EXPECT_THAT(text, HasSubstr("hagring_mirror_first_byte_seconds_bucket{source=\"peer\","
                              "le=\"0.005\"} 3"));
}

TEST(Metrics, SaysHowARequestEnded) {
  const std::vector<std::pair<Pull, std::string_view>> cases = {
      {pull(307), "ok"},
      {pull(200, false), "broken_off"},
      {pull(401), "denied"},
      {pull(403), "denied"},
      {pull(404), "not_found"},
      {pull(429), "rate_limited"},
      {pull(416), "refused"},
      {pull(502), "failed"},
      {pull(0, false), "broken_off"},
  };
  for (const auto& [one, result] : cases) EXPECT_EQ(result_of(one), result) << one.status;
}

TEST(Metrics, WhatAClientCallsARegistryIsNoLabel) {
  Metrics metrics;
  auto foreign = pull(200);
  foreign.registry = "whatever.example\" 1\n";
  foreign.mirrored = false;
  metrics.answered(foreign);
  EXPECT_THAT(metrics.render({}), Not(HasSubstr("whatever")));
  EXPECT_THAT(metrics.render({}), HasSubstr("registry=\"other\""));
}

TEST(Metrics, RegistriesAreBounded) {
  Metrics metrics;
  for (int i = 0; i < 200; ++i) {
    auto one = pull(200);
    one.registry = fmt::format("r{}.azurecr.io", i);
    metrics.answered(one);
  }
  const auto text = metrics.render({});
  EXPECT_THAT(text, HasSubstr("r63.azurecr.io"));
  EXPECT_THAT(text, Not(HasSubstr("r64.azurecr.io")));
  EXPECT_THAT(text, HasSubstr("{registry=\"other\",result=\"ok\",source=\"peer\"} 136"));
}

TEST(Metrics, CountsLookups) {
  Metrics metrics;
  metrics.looked_up(2ms);
  metrics.looked_up(std::nullopt);
  const auto text = metrics.render({});
  EXPECT_THAT(text, HasSubstr("hagring_dht_lookup_seconds_count 1"));
  EXPECT_THAT(text, HasSubstr("hagring_dht_lookups_without_provider_total 1"));
}

TEST(Metrics, AddsOtherFamilies) {
  prometheus::MetricFamily family;
  family.name = "hagring_store_blobs";
  family.type = prometheus::MetricType::Gauge;
  family.metric.emplace_back().gauge.value = 7;
  EXPECT_THAT(Metrics().render({family}), HasSubstr("hagring_store_blobs 7"));
}

}  // namespace
}  // namespace hagring::agent
