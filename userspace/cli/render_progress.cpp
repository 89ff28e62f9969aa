// SPDX-License-Identifier: Apache-2.0
#include "userspace/cli/render_progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "userspace/cli/json_text.hpp"

namespace hagring::cli {
namespace {

using Json = nlohmann::json;
using Lines = std::vector<std::string>;

constexpr std::size_t kShortDigest = 19;  ///< `sha256:` and the twelve digits that tools show
constexpr std::size_t kNarrowestBar = 8;
constexpr std::size_t kWidestBar = 40;
/// Of the rows, so many are left to recent requests when pulls would take all, unless the window is
/// small.
constexpr std::size_t kRecentRows = 5;
constexpr std::size_t kSmallWindow = 16;

/// Cut to the width, without what a terminal could take for more than text.
std::string fitted(std::string line, std::size_t columns) {
  std::ranges::replace_if(line, [](char c) { return c < ' ' || c > '~'; }, '?');
  if (line.size() > columns) line.resize(columns);
  return line;
}

std::string name_of(const Json& pull) {
  return text(pull, "registry") + "/" + text(pull, "repository");
}

std::string short_reference(const Json& pull) {
  const auto reference = text(pull, "reference");
  return reference.find(':') == std::string::npos ? reference : reference.substr(0, kShortDigest);
}

/// How much of the content the client has, those bytes included that it had before.
struct Share {
  double done = 0;
  std::optional<double> total;
};

Share share_of(const Json& pull) {
  Share share{.done = pull.value("first_byte", 0.0) + pull.value("bytes", 0.0), .total = {}};
  if (pull.at("length").is_number()) {
    share.total = pull.value("first_byte", 0.0) + pull.at("length").get<double>();
  }
  return share;
}

double fraction(const Share& share) {
  if (!share.total) return 0;
  return *share.total > 0 ? std::clamp(share.done / *share.total, 0.0, 1.0) : 1;
}

std::string bar(const Share& share, std::size_t width) {
  const auto filled = static_cast<std::size_t>(fraction(share) * static_cast<double>(width));
  return "[" + std::string(filled, '#') + std::string(width - filled, '-') + "]";
}

/// ` 33 %   8.0 MiB of 24.0 MiB    3.1 MiB/s  peer 192.0.2.7:5000`
std::string amounts(const Json& pull, const Share& share) {
  const auto percent =
      share.total ? fmt::format("{:>3.0f} %", std::floor(fraction(share) * 100)) : "  ? %";
  const auto of = share.total ? size_text(*share.total) : "?";
  const auto rate = pull.at("bytes_per_second").is_number()
                        ? size_text(pull.at("bytes_per_second").get<double>()) + "/s"
                        : "";
  return fmt::format("{} {:>10} of {:>10} {:>12}  {}", percent, size_text(share.done), of, rate,
                     text(pull, "source"));
}

std::string progress_line(const Json& pull, std::size_t columns) {
  const auto begin =
      fmt::format("  {:<8} {:<{}} ", text(pull, "kind"), short_reference(pull), kShortDigest);
  if (pull.value("status", 0) == 0) {
    return begin + fmt::format("no source has answered yet, {:.1f} s",
                               pull.value("duration_ms", 0.0) / 1000);
  }
  const auto share = share_of(pull);
  const auto end = amounts(pull, share);
  const auto taken = begin.size() + end.size() + 3;
  const auto room = columns > taken ? columns - taken : 0;
  return begin + bar(share, std::clamp(room, kNarrowestBar, kWidestBar)) + " " + end;
}

std::string headline(const Json& pulls) {
  double rate = 0;
  for (const auto& pull : pulls) {
    if (pull.at("bytes_per_second").is_number()) rate += pull.at("bytes_per_second").get<double>();
  }
  return pulls.empty()
             ? "Pulls in progress: none"
             : fmt::format("Pulls in progress: {} parts, {}/s", pulls.size(), size_text(rate));
}

/// The pulls' lines, under the name of what they are parts of, in the order in which they came.
Lines pull_lines(const Json& pulls, std::size_t columns) {
  std::vector<std::string> names;
  for (const auto& pull : pulls) {
    if (std::ranges::find(names, name_of(pull)) == names.end()) names.push_back(name_of(pull));
  }
  Lines lines;
  for (const auto& name : names) {
    lines.push_back(name);
    for (const auto& pull : pulls) {
      if (name_of(pull) == name) lines.push_back(progress_line(pull, columns));
    }
  }
  return lines;
}

std::string agent_line(const Json& status) {
  std::string line = fmt::format("hagring {}, pid {}, up {} s", text(status, "version"),
                                 text(status, "pid"), text(status, "uptime_seconds"));
  for (const auto& client : status.at("clients")) {
    line += fmt::format("; {} pid {}: {}{}", text(client, "comm"), text(client, "pid"),
                        client.value("intercepted", false) ? "" : "not intercepted, ",
                        text(client, "trust"));
  }
  return line;
}

Lines fitted(Lines lines, ScreenSize size) {
  if (lines.size() > size.rows) lines.resize(size.rows);
  for (auto& line : lines) line = fitted(std::move(line), size.columns);
  return lines;
}

}  // namespace

std::vector<std::string> render_progress(const Json& status, const std::string& trouble,
                                         ScreenSize size) {
  const auto& pulls = status.at("in_progress");
  Lines lines{trouble.empty() ? agent_line(status) : trouble, "", headline(pulls)};
  auto parts = pull_lines(pulls, size.columns);
  const auto kept = lines.size() + (size.rows < kSmallWindow ? 0 : kRecentRows);
  const auto room = size.rows > kept ? size.rows - kept : std::size_t{1};
  if (parts.size() > room) {
    const auto left_out = parts.size() - room + 1;
    parts.resize(room - 1);
    parts.push_back(fmt::format("  ... and {} more lines", left_out));
  }
  lines.insert(lines.end(), parts.begin(), parts.end());
  lines.insert(lines.end(), {"", "Recent requests, newest first"});
  for (const auto& pull : status.at("recent")) lines.push_back("  " + recent_line(pull));
  return fitted(std::move(lines), size);
}

std::vector<std::string> render_progress(const std::string& trouble, ScreenSize size) {
  return fitted({trouble}, size);
}

std::string ProgressLog::lines(const Json& status) {
  const auto& recent = status.at("recent");
  const Seen now{.agent = text(status, "pid"), .newest = recent.empty() ? "" : recent[0].dump()};
  const bool first = !seen_;
  const auto last = seen_ && seen_->agent == now.agent ? seen_->newest : std::string();
  seen_ = now;
  std::vector<std::string> ended;
  for (const auto& pull : recent) {
    if (first || pull.dump() == last) break;
    ended.push_back(recent_line(pull));
  }
  std::string all;
  for (auto line = ended.rbegin(); line != ended.rend(); ++line) all += *line + "\n";
  for (const auto& pull : status.at("in_progress")) {
    const auto share = share_of(pull);
    all += pull.value("status", 0) == 0
               ? fmt::format("in progress {} {}: no source has answered yet\n", name_of(pull),
                             short_reference(pull))
               : fmt::format("in progress {} {}: {}\n", name_of(pull), short_reference(pull),
                             amounts(pull, share));
  }
  return all;
}

}  // namespace hagring::cli
