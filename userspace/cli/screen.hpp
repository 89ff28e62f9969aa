// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <termios.h>

#include <optional>
#include <string>
#include <vector>

#include "userspace/cli/render_progress.hpp"

namespace hagring::cli {

/// Whether standard output is a terminal that can be drawn on.
bool has_screen();

/// Writes all of `text` to standard output. False: nobody takes it any more.
bool write_out(const std::string& text);

/// The terminal, drawn on line by line without ever being cleared, so that nothing flickers. What
/// was on it before comes back when this ends (the alternate screen).
class Screen {
 public:
  Screen() { enter(); }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen() { leave(); }

  ScreenSize size() const;
  /// False: the terminal is gone.
  bool draw(const std::vector<std::string>& lines);

  /// Gives the terminal back and stops this process, as Ctrl-Z would; draws again when it goes on.
  void suspend();

 private:
  void enter();
  void leave();

  std::optional<termios> before_;  ///< of standard input, where that is a terminal
};

}  // namespace hagring::cli
