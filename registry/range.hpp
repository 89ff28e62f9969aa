// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hagring::registry {

/// What a Range field selects of a representation (RFC 9110, section 14).
struct Selection {
  enum class Kind {
    whole,          ///< 200: no range, one that is malformed, or several at once
    part,           ///< 206
    unsatisfiable,  ///< 416
  };
  Kind kind = Kind::whole;
  std::uint64_t first = 0;   ///< offset of the first byte
  std::uint64_t length = 0;  ///< bytes

  bool operator==(const Selection&) const = default;
};

/// A Range field of one byte range, as sent. One of the two ends is there.
struct ByteRange {
  std::optional<std::uint64_t> first{};
  /// The last byte's offset, or, without `first`, how many bytes of the end are meant.
  std::optional<std::uint64_t> last{};

  /// nullopt where the field must be ignored: malformed, another unit, several ranges. Numbers
  /// beyond 64 bits are taken for the greatest one.
  static std::optional<ByteRange> parse(std::string_view field);
  /// The field's value.
  std::string to_string() const;
};

/// What `range`, the value of a Range field if there is one, selects of `size` bytes. Of an empty
/// representation `bytes=0-` selects the whole: containerd 2.1.0 sends it with every GET and takes
/// 416 for fatal.
Selection select_range(std::optional<std::string_view> range, std::uint64_t size);

/// The value of Content-Range for a part (`bytes 0-9/100`) or an unsatisfiable range
/// (`bytes */100`).
std::string content_range(const Selection& selection, std::uint64_t size);

/// A Content-Range field of a 206.
struct ContentRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;               ///< inclusive
  std::optional<std::uint64_t> size{};  ///< of the whole; nullopt for `*`

  std::uint64_t length() const { return last - first + 1; }
  /// nullopt for anything malformed or contradictory, the unsatisfied form included.
  static std::optional<ContentRange> parse(std::string_view field);
};

}  // namespace hagring::registry
