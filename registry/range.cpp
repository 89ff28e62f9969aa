// SPDX-License-Identifier: Apache-2.0
#include "registry/range.hpp"

#include <algorithm>
#include <limits>

#include "userspace/http/grammar.hpp"

namespace hagring::registry {
namespace {

constexpr auto kGreatest = std::numeric_limits<std::uint64_t>::max();

/// Digits only, at least one; what is beyond 64 bits becomes the greatest number.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    value = value > (kGreatest - digit) / 10 ? kGreatest : value * 10 + digit;
  }
  return value;
}

/// Takes the unit `bytes` and `after` it off `field`.
bool skip_unit(std::string_view& field, char after) {
  constexpr std::string_view kUnit = "bytes";
  field = http::trimmed(field);
  if (field.size() <= kUnit.size() || field[kUnit.size()] != after ||
      !http::equals_ignoring_case(field.substr(0, kUnit.size()), kUnit)) {
    return false;
  }
  field = http::trimmed(field.substr(kUnit.size() + 1));
  return true;
}

}  // namespace

std::optional<ByteRange> ByteRange::parse(std::string_view field) {
  if (!skip_unit(field, '=')) return std::nullopt;
  const auto dash = field.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  ByteRange range{parse_number(field.substr(0, dash)), parse_number(field.substr(dash + 1))};
  // Either end may be left out, but what is there must be a number: a comma, and with it a second
  // range, isn't.
  if ((!range.first && dash > 0) || (!range.last && dash + 1 < field.size())) return std::nullopt;
  if (!range.first && !range.last) return std::nullopt;
  if (range.first && range.last && *range.first > *range.last) return std::nullopt;
  return range;
}

std::string ByteRange::to_string() const {
  std::string text = "bytes=";
  if (first) text += std::to_string(*first);
  text += '-';
  if (last) text += std::to_string(*last);
  return text;
}

Selection select_range(std::optional<std::string_view> field, std::uint64_t size) {
  const Selection whole{Selection::Kind::whole, 0, size};
  const auto range = field ? ByteRange::parse(*field) : std::nullopt;
  if (!range || (size == 0 && range->first == 0U)) return whole;
  if (!range->first) {
    const auto length = std::min(*range->last, size);
    if (length == 0) return {Selection::Kind::unsatisfiable, 0, 0};
    return {Selection::Kind::part, size - length, length};
  }
  if (*range->first >= size) return {Selection::Kind::unsatisfiable, 0, 0};
  const auto last = std::min(range->last.value_or(kGreatest), size - 1);
  return {Selection::Kind::part, *range->first, last - *range->first + 1};
}

std::string content_range(const Selection& selection, std::uint64_t size) {
  std::string text = "bytes ";
  if (selection.kind == Selection::Kind::unsatisfiable) {
    text += '*';
  } else {
    text += std::to_string(selection.first) + "-" +
            std::to_string(selection.first + selection.length - 1);
  }
  return text + "/" + std::to_string(size);
}

std::optional<ContentRange> ContentRange::parse(std::string_view field) {
  if (!skip_unit(field, ' ')) return std::nullopt;
  const auto dash = field.find('-');
  const auto slash = field.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) {
    return std::nullopt;
  }
  const auto first = parse_number(field.substr(0, dash));
  const auto last = parse_number(field.substr(dash + 1, slash - dash - 1));
  const auto size = parse_number(field.substr(slash + 1));
  if (!first || !last || *first > *last || *last == kGreatest) return std::nullopt;
  if (!size && field.substr(slash + 1) != "*") return std::nullopt;
  if (size && *last >= *size) return std::nullopt;
  return ContentRange{*first, *last, size};
}

}  // namespace hagring::registry
