// SPDX-License-Identifier: Apache-2.0
#include "registry/glob.hpp"

#include <vector>

namespace hagring::registry {

bool glob_matches(std::string_view pattern, std::string_view text) {
  // reached[i]: what has been read of the pattern can stand for the first i characters of the text.
  std::vector<bool> reached(text.size() + 1, false);
  reached[0] = true;
  for (std::size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] != '*') {
      for (std::size_t i = text.size(); i > 0; --i) {
        reached[i] = reached[i - 1] && text[i - 1] == pattern[at];
      }
      reached[0] = false;
      continue;
    }
    const bool any = at + 1 < pattern.size() && pattern[at + 1] == '*';
    if (any) ++at;
    for (std::size_t i = 1; i <= text.size(); ++i) {
      if (reached[i - 1] && (any || text[i - 1] != '/')) reached[i] = true;
    }
  }
  return reached[text.size()];
}

}  // namespace hagring::registry
