// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

/// The small words of HTTP's grammar (RFC 9110, section 5.6).
namespace hagring::http {

/// ASCII letters only, whatever the locale.
bool equals_ignoring_case(std::string_view a, std::string_view b);

/// `text` without spaces and tabs around it.
std::string_view trimmed(std::string_view text);

/// The elements of a comma-separated list, trimmed, empty ones left out.
std::vector<std::string_view> list_elements(std::string_view list);

/// A method or field name: one or more tchar.
bool is_token(std::string_view text);

/// Visible characters, spaces, tabs and bytes from 0x80: no CR, LF, NUL or other control.
bool is_field_value(std::string_view text);

/// A request target: not empty, visible ASCII characters only.
bool is_target(std::string_view text);

}  // namespace hagring::http
