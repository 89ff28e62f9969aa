// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "userspace/base/result.hpp"

namespace hagring::http {

/// Finds the end of a message's head as its bytes come, and refuses at once what parsers read in
/// different ways, so that nobody behind us sees another message than we do: bare CR or LF, NUL and
/// other controls, folded lines (RFC 9112, sections 2.2, 5.2 and 11.2).
class HeadScanner {
 public:
  /// `empty_lines`: how many may stand before the start line (RFC 9112, section 2.2: a server
  /// passes over at least one).
  explicit HeadScanner(unsigned empty_lines) : empty_lines_left_(empty_lines) {}

  /// `bytes` is all that has come, from the first byte on; scanning goes on where it ended before.
  /// The head's length once its end is there, nullopt before. Errors: Errc::bad_message.
  Result<std::optional<std::size_t>> scan(std::string_view bytes);

  /// Where the start line begins: after the empty lines.
  std::size_t start() const { return start_; }

 private:
  enum class Step { go_on, head_ended, refused };
  Step take(char c);
  Step end_line();

  unsigned empty_lines_left_;
  std::size_t position_ = 0;
  std::size_t start_ = 0;
  std::size_t lines_ = 0;
  std::size_t line_length_ = 0;
  bool after_cr_ = false;
};

}  // namespace hagring::http
