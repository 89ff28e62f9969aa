// SPDX-License-Identifier: Apache-2.0
// A yamux session between a peer that sends anything, cut anywhere, and a user who opens, accepts,
// reads, writes and closes streams meanwhile. The input is a list of steps (yamux_play.cpp).
#include "tests/fuzz/yamux_play.hpp"
#include "userspace/base/log.hpp"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  hagring::log::set_level(hagring::log::Level::error);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hagring::fuzz::Input input({data, size});
  hagring::fuzz::YamuxPlay play(input);
  while (!input.empty()) play.step();
  play.end();
  return 0;
}
