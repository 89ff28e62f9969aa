// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "registry/herd/message.hpp"

namespace hagring::herd {

/// A herd for tests, different ones for different letters of hexadecimal.
inline HerdId sample_herd(char digit = 'a', std::string zone = {}) {
  return {*Digest::parse("sha256:" + std::string(64, digit)), std::move(zone)};
}

/// A message of each kind, with every field set.
inline std::vector<Message> sample_messages() {
  const HerdId herd = sample_herd('a', "zone-1");
  return {
      {herd, Join{.size = 1 << 26,
                  .whole = true,
                  .may_fetch = true,
                  .fetching = true,
                  .done = true,
                  .slow = true,
                  .units = 1,
                  .insist = true,
                  .epoch = 7,
                  .have = {3, 4},
                  .parents = {"", "parent"},
                  .avoid = {"dead", "gone"},
                  .head = "head"}},
      {herd, Progress{.have = {1, 2},
                      .size = 99,
                      .peak_in = 125'000'000,
                      .idle = 40,
                      .busy = true,
                      .client_gone = true}},
      {herd, Lost{.stripe = 1, .parent = "p", .why = LostWhy::silent, .have = {9, 8}}},
      {herd, Ended{.outcome = Outcome::limited, .limited_ms = 2000}},
      {herd, Redirect{.to = "nearer"}},
      {herd, Fetch{.epoch = 2, .from = 1 << 20, .progress_ms = 500}},
      {herd, Stream{.epoch = 3,
                    .head = "head",
                    .size = 77,
                    .group = 1,
                    .progress_ms = 60,
                    .sources = {{.stripe = 1, .parent = "p", .backup = "b"},
                                {.stripe = 0, .parent = "q"}},
                    .former = {"first head", "second head"}}},
      {herd, Wait{.epoch = 1, .limited_ms = 1000}},
      {herd, Relieve{.stripe = 1, .child = "c"}},
      {herd, Holder{.node = "h"}},
      {herd, Probe{.epoch = 4, .head = "head"}},
      {herd, Note{.epoch = 5, .head = "head", .members = 12}},
  };
}

}  // namespace hagring::herd
