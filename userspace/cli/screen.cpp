// SPDX-License-Identifier: Apache-2.0
#include "userspace/cli/screen.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>

namespace hagring::cli {
namespace {

// Control sequences of ECMA-48, and two private modes of xterm's (ctlseqs, "DEC Private Mode Set")
// that every terminal in use knows.
constexpr const char* kAlternateScreen = "\x1b[?1049h";
constexpr const char* kFormerScreen = "\x1b[?1049l";
constexpr const char* kHideCursor = "\x1b[?25l";
constexpr const char* kShowCursor = "\x1b[?25h";
constexpr const char* kHome = "\x1b[H";
constexpr const char* kEraseToEndOfLine = "\x1b[K";
constexpr const char* kEraseBelow = "\x1b[J";

}  // namespace

bool has_screen() {
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && terminal != nullptr &&
         std::string_view(terminal) != "dumb" && *terminal != '\0';
}

bool write_out(const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const auto written = ::write(STDOUT_FILENO, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    done += static_cast<std::size_t>(written);
  }
  return true;
}

void Screen::enter() {
  termios mode{};
  if (::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &mode) == 0) {
    before_ = mode;
    mode.c_lflag &= ~static_cast<tcflag_t>(ECHO);  // what is typed doesn't belong into the picture
    ::tcsetattr(STDIN_FILENO, TCSANOW, &mode);
  }
  write_out(std::string(kAlternateScreen) + kHideCursor);
}

void Screen::leave() {
  write_out(std::string(kShowCursor) + kFormerScreen);
  if (before_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &*before_);
  before_.reset();
}

ScreenSize Screen::size() const {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    return {};
  }
  return {.columns = size.ws_col, .rows = size.ws_row};
}

bool Screen::draw(const std::vector<std::string>& lines) {
  std::string picture = kHome;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    // No end of line behind the last row: the terminal would scroll.
    picture += (i == 0 ? "" : "\r\n") + lines[i] + kEraseToEndOfLine;
  }
  return write_out(picture + kEraseBelow);
}

void Screen::suspend() {
  leave();
  ::raise(SIGSTOP);
  enter();
}

}  // namespace hagring::cli
