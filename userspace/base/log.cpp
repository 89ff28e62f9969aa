// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string>

namespace hagring::log {
namespace {

std::atomic<Level> level_now{Level::info};
std::atomic<Format> current_format{Format::text};

constexpr std::array<std::pair<std::string_view, Level>, 5> kLevels{{{"trace", Level::trace},
                                                                     {"debug", Level::debug},
                                                                     {"info", Level::info},
                                                                     {"warning", Level::warning},
                                                                     {"error", Level::error}}};

spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::trace:
      return spdlog::level::trace;
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

spdlog::logger& logger() {
  static const auto instance = [] {
    auto created = std::make_shared<spdlog::logger>(
        "hagring", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    created->set_level(spdlog::level::trace);
    created->flush_on(spdlog::level::trace);
    created->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
    return created;
  }();
  return *instance;
}

/// Escapes what JSON (RFC 8259, section 7) doesn't allow in a string; bytes from 0x80 pass as
/// they are. In text lines the same keeps a peer from forging lines of ours.
std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  return out;
}

std::string without_controls(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return out;
}

}  // namespace

std::string_view to_string(Level level) {
  return std::ranges::find(kLevels, level, &std::pair<std::string_view, Level>::second)->first;
}

std::optional<Level> level_named(std::string_view name) {
  for (const auto& [known, level] : kLevels) {
    if (known == name) return level;
  }
  return std::nullopt;
}

void configure(Level level, Format format) {
  set_level(level);
  current_format = format;
  logger().set_pattern(format == Format::json
                           ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})"
                           : "%Y-%m-%dT%H:%M:%S.%eZ %l %v",
                       spdlog::pattern_time_type::utc);
}

void set_level(Level level) { level_now.store(level, std::memory_order_relaxed); }

Level current_level() noexcept { return level_now.load(std::memory_order_relaxed); }

bool enabled(Level level) noexcept { return level >= current_level(); }

void write(Level level, std::string_view part, std::string_view message) {
  if (current_format == Format::json) {
    logger().log(spdlog_level(level),
                 fmt::format(R"("part":"{}","message":"{}")", escape(part), escape(message)));
  } else {
    logger().log(spdlog_level(level), fmt::format("{}: {}", part, without_controls(message)));
  }
}

}  // namespace hagring::log
