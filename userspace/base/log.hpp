// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/core.h>

#include <optional>
#include <string_view>
#include <utility>

/// A thin front over spdlog, whose headers only log.cpp includes. Lines go to standard error.
namespace hagring::log {

enum class Level { trace, debug, info, warning, error };
enum class Format { text, json };

/// As options and lines name it: `warning`.
std::string_view to_string(Level level);
/// nullopt for what is no level's name.
std::optional<Level> level_named(std::string_view name);

/// Sets form and level for the whole process; before the first call: text, info.
void configure(Level level, Format format);

/// Changes the level at run time. Safe from any thread.
void set_level(Level level);
Level current_level() noexcept;

bool enabled(Level level) noexcept;

/// Writes one line. `part` names the part of the program that speaks.
void write(Level level, std::string_view part, std::string_view message);

/// Writes one line from a format string and its arguments, if `level` is enabled.
template <typename... Args>
void line(Level level, std::string_view part, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(level)) write(level, part, fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
void debug(std::string_view part, fmt::format_string<Args...> format, Args&&... args) {
  line(Level::debug, part, format, std::forward<Args>(args)...);
}
template <typename... Args>
void info(std::string_view part, fmt::format_string<Args...> format, Args&&... args) {
  line(Level::info, part, format, std::forward<Args>(args)...);
}
template <typename... Args>
void warning(std::string_view part, fmt::format_string<Args...> format, Args&&... args) {
  line(Level::warning, part, format, std::forward<Args>(args)...);
}
template <typename... Args>
void error(std::string_view part, fmt::format_string<Args...> format, Args&&... args) {
  line(Level::error, part, format, std::forward<Args>(args)...);
}

}  // namespace hagring::log
