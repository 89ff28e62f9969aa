// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "userspace/base/result.hpp"

namespace hagring::http {

/// An absolute URL of scheme http or https (RFC 3986), taken apart.
struct Url {
  std::string scheme;  ///< in lower case
  std::string host;    ///< a name in lower case, or an address; IPv6 without its brackets
  std::uint16_t port = 0;
  std::string target;  ///< path and query, as they go on a request line

  /// The value of the Host field: the port only where it isn't the scheme's own.
  std::string authority() const;
  /// For requests through a proxy. Not for logs: the query may be signed.
  std::string to_string() const;
  bool operator==(const Url&) const = default;
};

/// Reads an absolute URL; a fragment is dropped. Errors: Errc::bad_message for anything malformed,
/// another scheme, user information, or characters that must be encoded; Errc::too_large beyond
/// 16 KiB.
Result<Url> parse_url(std::string_view text);

/// Resolves a Location field's value against the URL that was asked (RFC 3986, section 5.2).
/// Errors as parse_url's.
Result<Url> resolve_url(const Url& base, std::string_view reference);

/// `target` in origin-form: path and query apart, nothing decoded.
struct TargetParts {
  std::string_view path;
  std::string_view query;  ///< without the question mark
};

/// Splits an origin-form target, or an absolute one's path and query. Errors: Errc::bad_message for
/// other forms and for malformed percent-encoding. The views are into `target`.
Result<TargetParts> split_target(std::string_view target);

/// `text` with its percent-encoding undone. Errors: Errc::bad_message for a malformed escape, and
/// for one that stands for a control character.
Result<std::string> percent_decoded(std::string_view text);

/// The first value of `name` in a query, decoded; nullopt when there is none or it is malformed.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

}  // namespace hagring::http
