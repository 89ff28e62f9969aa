// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/setting_value.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "userspace/base/result.hpp"

namespace hagring::agent {
namespace {

/// Splits `text` into the number it begins with and what follows.
std::pair<std::uint64_t, std::string_view> read_number(std::string_view text,
                                                       std::string_view expected) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) {
    throw StartError(fmt::format("'{}' is not {}", text, expected));
  }
  return {number, text.substr(static_cast<std::size_t>(end - text.data()))};
}

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

/// Reads a number with one of `units` behind it, refusing what doesn't fit 63 bits.
template <std::size_t N>
std::uint64_t read_with_unit(std::string_view text, const std::array<Unit, N>& units,
                             std::string_view expected) {
  const auto [number, unit] = read_number(text, expected);
  for (const auto& known : units) {
    if (unit != known.name) continue;
    if (number > (std::uint64_t{1} << 62) / known.factor) {
      throw StartError(fmt::format("'{}' is too large", text));
    }
    return number * known.factor;
  }
  throw StartError(fmt::format("'{}' is not {}", text, expected));
}

// In falling order within each family, for the writers.
constexpr std::array<Unit, 4> kDurationUnits{
    {{"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};
constexpr std::array<Unit, 8> kSizeUnits{{{"GiB", 1ULL << 30},
                                          {"MiB", 1ULL << 20},
                                          {"KiB", 1ULL << 10},
                                          {"GB", 1'000'000'000},
                                          {"MB", 1'000'000},
                                          {"KB", 1000},
                                          {"B", 1},
                                          {"", 1}}};

constexpr std::string_view kUnlimited = "unlimited";
/// In bytes.
constexpr std::array<Unit, 3> kBitUnits{
    {{"Gbit/s", 125'000'000}, {"Mbit/s", 125'000}, {"Kbit/s", 125}}};

}  // namespace

std::chrono::milliseconds read_duration(std::string_view text) {
  return std::chrono::milliseconds(read_with_unit(
      text, kDurationUnits, "a duration: write a whole number and its unit, such as 500ms or 5s"));
}

std::chrono::milliseconds read_duration(std::string_view text, std::chrono::milliseconds least,
                                        std::chrono::milliseconds most) {
  const auto duration = read_duration(text);
  if (duration < least || duration > most) {
    throw StartError(fmt::format("'{}' is not from {} to {}", text, write_duration(least),
                                 write_duration(most)));
  }
  return duration;
}

std::uint64_t read_size(std::string_view text) {
  return read_with_unit(text, kSizeUnits, "a size: write for example 65536, 64KiB or 4MiB");
}

std::uint64_t read_rate(std::string_view text, std::uint64_t least) {
  constexpr std::string_view kExpected =
      "a rate: write for example 100Mbit/s, 12MiB/s, or unlimited";
  if (text == kUnlimited) return 0;
  std::uint64_t rate = 0;
  if (text.ends_with("bit/s")) {
    rate = read_with_unit(text, kBitUnits, kExpected);
  } else if (text.ends_with("B/s")) {
    rate = read_with_unit(text.substr(0, text.size() - 2), kSizeUnits, kExpected);
  } else {
    // A bare number, or a size: nobody knows whether it is bits or bytes, and in what time.
    throw StartError(fmt::format("'{}' is not {}", text, kExpected));
  }
  if (rate < least) {
    throw StartError(fmt::format("'{}' is less than {}", text, write_rate(least)));
  }
  return rate;
}

std::string read_zone(std::string_view text) {
  // apimachinery, pkg/util/validation: IsValidLabelValue.
  constexpr std::size_t kLongest = 63;
  const auto is_alphanumeric = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  const bool fits = text.size() <= kLongest && std::ranges::all_of(text, [&](char c) {
                      return is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
                    });
  if (!fits ||
      (!text.empty() && !(is_alphanumeric(text.front()) && is_alphanumeric(text.back())))) {
    throw StartError(
        fmt::format("'{}' is no zone's name: up to {} letters, digits, '-', '_' and '.', as the "
                    "label topology.kubernetes.io/zone has",
                    text, kLongest));
  }
  return std::string(text);
}

std::uint64_t read_count(std::string_view text, std::uint64_t least, std::uint64_t most) {
  const auto expected = fmt::format("a whole number from {} to {}", least, most);
  const auto [number, rest] = read_number(text, expected);
  if (!rest.empty() || number < least || number > most) {
    throw StartError(fmt::format("'{}' is not {}", text, expected));
  }
  return number;
}

bool read_switch(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  throw StartError(fmt::format("'{}' is neither true nor false", text));
}

std::string read_path(std::string_view text) {
  if (text.empty() || text.front() != '/') {
    throw StartError(fmt::format("'{}' is not an absolute path", text));
  }
  if (fmt::format("{}/", text).find("/../") != std::string::npos) {
    throw StartError(fmt::format("'{}' has '..' in it", text));
  }
  return std::string(text);
}

std::string read_identifier(std::string_view text) {
  constexpr std::size_t kLongest = 76;
  const auto is_alphanumeric = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  bool joinable = false;  // whether a joint may stand here, or the end
  for (const char c : text.substr(0, kLongest + 1)) {
    const bool joint = c == '.' || c == '_' || c == '-';
    if (!is_alphanumeric(c) && !(joint && joinable)) {
      joinable = false;
      break;
    }
    joinable = !joint;
  }
  if (!joinable || text.size() > kLongest) {
    throw StartError(fmt::format("'{}' is not a name that containerd knows, such as k8s.io", text));
  }
  return std::string(text);
}

boost::asio::ip::tcp::endpoint read_endpoint(std::string_view text) {
  constexpr std::string_view kExpected =
      "an address and port, such as 192.0.2.7:5000 or [2001:db8::7]:5000";
  const auto colon = text.rfind(':');
  auto host = text.substr(0, colon == std::string_view::npos ? 0 : colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(std::string(host), error);
  if (error || colon == std::string_view::npos || address.is_v6() != bracketed) {
    throw StartError(fmt::format("'{}' is not {}", text, kExpected));
  }
  const auto port = read_count(text.substr(colon + 1), 0, 65535);
  return {address, static_cast<std::uint16_t>(port)};
}

boost::asio::ip::address read_address(std::string_view text) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(std::string(text), error);
  if (error || address.is_unspecified() || address.is_multicast()) {
    throw StartError(fmt::format(
        "'{}' is not the address of a machine, such as 192.0.2.7 or 2001:db8::7", text));
  }
  return address;
}

std::string write_duration(std::chrono::milliseconds value) {
  const auto count = static_cast<std::uint64_t>(value.count());
  for (const auto& unit : kDurationUnits) {
    if (count != 0 && count % unit.factor == 0) {
      return fmt::format("{}{}", count / unit.factor, unit.name);
    }
  }
  return fmt::format("{}ms", count);
}

std::string write_size(std::uint64_t bytes) {
  for (std::size_t i = 0; i < 3; ++i) {
    const auto& unit = kSizeUnits[i];
    if (bytes != 0 && bytes % unit.factor == 0) {
      return fmt::format("{}{}", bytes / unit.factor, unit.name);
    }
  }
  return fmt::format("{}B", bytes);
}

std::string write_rate(std::uint64_t bytes_a_second) {
  if (bytes_a_second == 0) return std::string(kUnlimited);
  for (const auto& unit : kBitUnits) {
    if (bytes_a_second % unit.factor == 0) {
      return fmt::format("{}{}", bytes_a_second / unit.factor, unit.name);
    }
  }
  return write_size(bytes_a_second) + "/s";
}

std::string write_endpoint(const boost::asio::ip::tcp::endpoint& endpoint) {
  const auto address = endpoint.address().to_string();
  return endpoint.address().is_v6() ? fmt::format("[{}]:{}", address, endpoint.port())
                                    : fmt::format("{}:{}", address, endpoint.port());
}

}  // namespace hagring::agent
