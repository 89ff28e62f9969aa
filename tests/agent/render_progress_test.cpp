// SPDX-License-Identifier: Apache-2.0
#include "userspace/cli/render_progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace hagring::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;

Json blob(const std::string& repository, std::uint64_t first, std::uint64_t bytes, Json length) {
  return {{"kind", "blob"},
          {"registry", "docker.io"},
          {"repository", repository},
          {"reference", "sha256:0123456789abcdef0123"},
          {"status", 206},
          {"source", "peer 192.0.2.7:5000"},
          {"first_byte", first},
          {"bytes", bytes},
          {"length", std::move(length)},
          {"bytes_per_second", 2097152},
          {"duration_ms", 1500}};
}

Json status_with(Json in_progress, Json recent = Json::array()) {
  return {{"version", "0.1.0"},
          {"pid", 7},
          {"uptime_seconds", 12},
          {"clients",
           {{{"comm", "containerd"}, {"pid", 42}, {"intercepted", true}, {"trust", "trusted"}}}},
          {"in_progress", std::move(in_progress)},
          {"recent", std::move(recent)}};
}

Json ended(int number) {
  return {{"time", "2026-01-01T00:00:00Z"},
          {"status", 200},
          {"kind", "blob"},
          {"registry", "docker.io"},
          {"repository", "library/old"},
          {"reference", "sha256:" + std::to_string(number)},
          {"bytes", 1536},
          {"source", "origin"},
          {"duration_ms", 3},
          {"verified", true}};
}

std::string all_of(const std::vector<std::string>& lines) {
  std::string all;
  for (const auto& line : lines) all += line + "\n";
  return all;
}

TEST(RenderProgress, DrawsABarOfWhatTheClientHas) {
  const auto shown = all_of(
      render_progress(status_with(Json::array({blob("library/nginx", 0, 3 << 20, 12 << 20)})), "",
                      {.columns = 120, .rows = 24}));
  EXPECT_THAT(shown, HasSubstr("hagring 0.1.0, pid 7, up 12 s; containerd pid 42: trusted\n"));
  EXPECT_THAT(shown, HasSubstr("Pulls in progress: 1 parts, 2.0 MiB/s\ndocker.io/library/nginx\n"));
  EXPECT_THAT(shown, HasSubstr("  blob     sha256:0123456789ab [#####-----"));
  EXPECT_THAT(shown, HasSubstr("-]  25 %    3.0 MiB of   12.0 MiB    2.0 MiB/s  peer 192.0.2.7"));
}

TEST(RenderProgress, CountsWhatTheClientHadBefore) {
  const auto shown = all_of(
      render_progress(status_with(Json::array({blob("library/nginx", 6 << 20, 3 << 20, 6 << 20)})),
                      "", {.columns = 120}));
  EXPECT_THAT(shown, HasSubstr(" 75 %    9.0 MiB of   12.0 MiB"));
}

TEST(RenderProgress, LengthsThatNobodyHasTold) {
  const auto shown = all_of(render_progress(
      status_with(Json::array({blob("a/b", 0, 500, nullptr)})), "", {.columns = 120}));
  EXPECT_THAT(shown, AllOf(HasSubstr("  ? %      500 B of          ?"), Not(HasSubstr("#"))));
  EXPECT_THAT(all_of(render_progress(status_with(Json::array({blob("a/b", 0, 0, 0)})), "",
                                     {.columns = 120})),
              HasSubstr("100 %"));
}

TEST(RenderProgress, WaitsForASource) {
  auto waiting = blob("a/b", 0, 0, nullptr);
  waiting["status"] = 0;
  EXPECT_THAT(all_of(render_progress(status_with(Json::array({waiting})), "", {})),
              HasSubstr("no source has answered yet, 1.5 s"));
}

TEST(RenderProgress, GathersPartsUnderTheirNames) {
  const auto shown = all_of(render_progress(
      status_with(Json::array({blob("a", 0, 1, 2), blob("b", 0, 1, 2), blob("a", 0, 1, 2)})), "",
      {.columns = 120}));
  EXPECT_LT(shown.rfind("docker.io/a"), shown.find("docker.io/b"));
  EXPECT_EQ(shown.find("docker.io/a"), shown.rfind("docker.io/a"));
}

TEST(RenderProgress, FitsAnyWindow) {
  auto pulls = Json::array();
  for (int i = 0; i < 100; ++i) pulls.push_back(blob("repo" + std::to_string(i), 0, 1, 2));
  const auto status = status_with(pulls, {ended(1), ended(2), ended(3)});
  for (const std::size_t columns : {1, 5, 40, 80, 300}) {
    for (const std::size_t rows : {1, 2, 3, 7, 24, 500}) {
      const auto lines = render_progress(status, "", {.columns = columns, .rows = rows});
      EXPECT_LE(lines.size(), rows);
      for (const auto& line : lines) EXPECT_LE(line.size(), columns);
    }
  }
  const auto lines = render_progress(status, "", {.columns = 80, .rows = 24});
  EXPECT_THAT(all_of(lines), AllOf(HasSubstr("more lines"), HasSubstr("library/old")));
}

TEST(RenderProgress, HandsNothingToTheTerminalButText) {
  auto evil = blob("a\x1b[2Jb", 0, 1, 2);
  evil["source"] = "peer \n\xc3\xa4";
  for (const auto& line :
       render_progress(status_with(Json::array({evil})), "no agent\x07", {.columns = 200})) {
    for (const char c : line) EXPECT_TRUE(c >= ' ' && c <= '~') << line;
  }
}

TEST(RenderProgress, SaysWhyNothingNewComes) {
  EXPECT_EQ(render_progress(status_with(Json::array()), "no agent answers", {}).front(),
            "no agent answers");
  EXPECT_EQ(render_progress("no agent answers", {}).front(), "no agent answers");
}

TEST(ProgressLog, SaysWhatHasEndedSinceTheLastTime) {
  ProgressLog log;
  EXPECT_EQ(log.lines(status_with(Json::array(), Json::array({ended(1)}))), "");
  const auto two =
      log.lines(status_with(Json::array(), Json::array({ended(3), ended(2), ended(1)})));
  EXPECT_LT(two.find("sha256:2"), two.find("sha256:3"));
  EXPECT_THAT(two, Not(HasSubstr("sha256:1")));
  EXPECT_EQ(log.lines(status_with(Json::array(), Json::array({ended(3), ended(2)}))), "");
  auto other = status_with(Json::array({blob("a", 0, 1, 2)}), Json::array({ended(9)}));
  other["pid"] = 8;  // another agent has a record of its own
  EXPECT_THAT(log.lines(other),
              AllOf(HasSubstr("sha256:9"), HasSubstr("in progress docker.io/a sha256:0123456789ab: "
                                                     " 50 %")));
}

}  // namespace
}  // namespace hagring::cli
