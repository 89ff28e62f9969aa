// SPDX-License-Identifier: Apache-2.0
// What people read of a server that is down.
#include <fmt/chrono.h>
#include <fmt/core.h>

#include "registry/breaker.hpp"

namespace hagring::registry {
namespace {

std::string_view complaint(Trouble trouble) {
  switch (trouble) {
    case Trouble::unreachable:
      return "has not been reached";
    case Trouble::silent:
      return "has not answered";
    case Trouble::failing:
      break;
  }
  return "has been failing";
}

}  // namespace

std::string_view to_string(Trouble trouble) {
  switch (trouble) {
    case Trouble::unreachable:
      return "unreachable";
    case Trouble::silent:
      return "silent";
    case Trouble::failing:
      break;
  }
  return "failing";
}

std::string Breaker::Outage::to_string() const {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  return fmt::format("{} {} since {:%Y-%m-%dT%H:%M:%S}Z ({})", server.to_string(),
                     complaint(trouble), fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)),
                     reason);
}

}  // namespace hagring::registry
