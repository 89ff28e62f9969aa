// SPDX-License-Identifier: Apache-2.0
#include "userspace/cli/lookup.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hagring::cli {
namespace {

using testing::HasSubstr;

TEST(RenderLookup, ShowsEachNodeAndWhenItWasFound) {
  const auto text = render_lookup(R"({
    "key": "docker.io/library/nginx:1.27", "own": true,
    "providers": [{"peer_id": "12D3KooWone", "addresses": ["192.0.2.7", "2001:db8::7"],
                   "milliseconds": 0.04},
                  {"peer_id": "12D3KooWtwo", "addresses": ["192.0.2.8"], "milliseconds": 3.26}],
    "rounds": 1, "messages": 4, "failures": 1, "complete": true, "milliseconds": 5.0})");
  EXPECT_THAT(text, HasSubstr("docker.io/library/nginx:1.27\n  this node has it\n"));
  EXPECT_THAT(text, HasSubstr("  12D3KooWone  192.0.2.7 2001:db8::7  0.0 ms\n"));
  EXPECT_THAT(text, HasSubstr("  12D3KooWtwo  192.0.2.8  3.3 ms\n"));
  EXPECT_THAT(text, HasSubstr("2 other nodes have it (4 asked in 1 round, 1 unanswered, 5.0 ms)"));
}

TEST(RenderLookup, SaysThatASearchWasCutShort) {
  EXPECT_THAT(render_lookup(R"({"key": "k", "own": false, "providers": [], "rounds": 3,
                                "messages": 9, "failures": 9, "complete": false,
                                "milliseconds": 60000})"),
              HasSubstr("0 other nodes have it (9 asked in 3 rounds, 9 unanswered, 60000.0 ms; the "
                        "search was cut short)"));
}

TEST(RenderLookup, RefusesWhatIsNoAnswer) {
  EXPECT_THROW(render_lookup("{}"), std::exception);
  EXPECT_THROW(render_lookup("<html>"), std::exception);
}

TEST(LookUp, WhatIsNoNameIsWrongUsage) {
  for (const auto* what : {"", "sha256:", "UPPER/case", "a b", "nginx@sha256:1"}) {
    EXPECT_EQ(look_up({false, "/nonexistent/hagring.sock", what}), 2) << what;
  }
  EXPECT_EQ(look_up({false, "/nonexistent/hagring.sock", "nginx"}), 3);
}

}  // namespace
}  // namespace hagring::cli
