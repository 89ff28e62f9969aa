// SPDX-License-Identifier: Apache-2.0
#include "userspace/cli/preflight.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace hagring::cli {
namespace {

using preflight::Checks;
using preflight::Level;
using testing::HasSubstr;
using testing::Not;

const Checks kChecks = {{"kernel", Level::ok, "Linux 6.1"},
                        {"mesh key", Level::warning, "will be made", "copy it"},
                        {"containerd", Level::failure, "no socket", "start it"}};

TEST(Preflight, ShowsALineACheckAndWhatToDo) {
  const auto text = render_preflight(kChecks, false);
  EXPECT_THAT(text, HasSubstr("ok       kernel      Linux 6.1\n"));
  EXPECT_THAT(text, HasSubstr("warning  mesh key    will be made\n"));
  EXPECT_THAT(text, HasSubstr("→ start it\n"));
  EXPECT_THAT(text, HasSubstr("1 of 3 checks failed"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b[")));
  EXPECT_THAT(render_preflight(kChecks, true), HasSubstr("\x1b[31mfailure"));
}

TEST(Preflight, WarningsAreNoFailures) {
  const Checks checks(kChecks.begin(), kChecks.begin() + 2);
  EXPECT_THAT(render_preflight(checks, false), HasSubstr("the agent can run here; 1 warning"));
  EXPECT_EQ(show_preflight(checks, true), 0);
  EXPECT_EQ(show_preflight(kChecks, true), 1);
}

TEST(Preflight, SpeaksJson) {
  const auto document = nlohmann::json::parse(preflight_json(kChecks));
  EXPECT_EQ(document["ok"], false);
  EXPECT_EQ(document["checks"][2]["level"], "failure");
  EXPECT_EQ(document["checks"][2]["advice"], "start it");
  EXPECT_FALSE(document["checks"][0].contains("advice"));
}

}  // namespace
}  // namespace hagring::cli
