// SPDX-License-Identifier: Apache-2.0
#include "userspace/http/head_scanner.hpp"

namespace hagring::http {

Result<std::optional<std::size_t>> HeadScanner::scan(std::string_view bytes) {
  while (position_ < bytes.size()) {
    const auto step = take(bytes[position_++]);
    if (step == Step::refused) return Errc::bad_message;
    if (step == Step::head_ended) return std::optional(position_);
  }
  return std::optional<std::size_t>();
}

HeadScanner::Step HeadScanner::take(char c) {
  if (after_cr_) {
    after_cr_ = false;
    return c == '\n' ? end_line() : Step::refused;
  }
  if (c == '\r') {
    after_cr_ = true;
    return Step::go_on;
  }
  const auto byte = static_cast<unsigned char>(c);
  if ((byte < 0x20 && c != '\t') || byte == 0x7f) return Step::refused;
  // A line that begins with a space continues the one before: obs-fold.
  if (line_length_ == 0 && (c == ' ' || c == '\t')) return Step::refused;
  ++line_length_;
  return Step::go_on;
}

HeadScanner::Step HeadScanner::end_line() {
  if (line_length_ == 0 && lines_ > 0) return Step::head_ended;
  if (line_length_ == 0) {
    if (empty_lines_left_ == 0) return Step::refused;
    --empty_lines_left_;
    start_ = position_;
    return Step::go_on;
  }
  ++lines_;
  line_length_ = 0;
  return Step::go_on;
}

}  // namespace hagring::http
