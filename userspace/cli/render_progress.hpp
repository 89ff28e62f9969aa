// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace hagring::cli {

/// A terminal's size in characters.
struct ScreenSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};

/// The screen of `hagring status --watch`, made of a status document: the pulls that are in
/// progress with a bar for each, and below them the recent requests as far as there is room. No
/// line is longer than the screen is wide, and there are no more than its rows; all of it is ASCII.
/// `trouble`, if it isn't empty, is said at the top. Throws std::exception for a document of
/// another shape.
std::vector<std::string> render_progress(const nlohmann::json& status, const std::string& trouble,
                                         ScreenSize size);

/// The same screen when no agent has answered yet.
std::vector<std::string> render_progress(const std::string& trouble, ScreenSize size);

/// What `hagring status --watch` prints where there is no terminal: a line for each pull in
/// progress, and one for each request that has ended since the last document.
class ProgressLog {
 public:
  /// The lines for one document. Requests that had ended before the first one are left out. Throws
  /// std::exception for a document of another shape.
  std::string lines(const nlohmann::json& status);

 private:
  struct Seen {
    std::string agent;  ///< its process
    std::string newest;
  };
  std::optional<Seen> seen_;
};

}  // namespace hagring::cli
