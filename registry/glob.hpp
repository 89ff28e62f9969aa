// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace hagring::registry {

/// Whether all of `text` is what `pattern` describes: `*` stands for any text without a slash, `**`
/// for any text; both may be empty. Takes at most pattern × text steps, whatever the pattern.
bool glob_matches(std::string_view pattern, std::string_view text);

}  // namespace hagring::registry
