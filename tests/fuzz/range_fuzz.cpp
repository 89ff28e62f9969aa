// SPDX-License-Identifier: Apache-2.0
// Range and Content-Range. The first eight bytes are the representation's size.
#include <cstdlib>
#include <cstring>

#include "registry/range.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hagring::registry;
  std::uint64_t whole = 0;
  if (size < sizeof whole) return 0;
  std::memcpy(&whole, data, sizeof whole);
  const std::string_view text(reinterpret_cast<const char*>(data) + sizeof whole,
                              size - sizeof whole);
  const auto selection = select_range(text, whole);
  if (selection.kind == Selection::Kind::part) {
    require(selection.length > 0 && selection.first < whole);
    require(selection.length <= whole - selection.first);
    const auto written = ContentRange::parse(content_range(selection, whole));
    require(written && written->first == selection.first && written->length() == selection.length &&
            written->size == whole);
  } else if (selection.kind == Selection::Kind::whole) {
    require(selection.first == 0 && selection.length == whole);
  }
  if (const auto range = ByteRange::parse(text)) {
    require(select_range(range->to_string(), whole) == selection);
  }
  if (const auto range = ContentRange::parse(text)) {
    require(range->first <= range->last && range->length() > 0);
    require(!range->size || range->last < *range->size);
  }
  return 0;
}
