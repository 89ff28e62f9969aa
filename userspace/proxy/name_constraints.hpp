// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/tls_context.hpp"

namespace hagring::proxy {

/// What a certificate's critical name constraints (RFC 5280, 4.2.1.10) let it sign for.
struct PermittedSubtrees {
  std::set<std::string> names;  ///< DNS suffixes, lower case
  bool permits_probe = false;   ///< kProbeAddress is among the addresses, if any is named
  bool excludes = false;        ///< there are excluded subtrees, too
};

/// The constraints of `certificate`; nothing: it has none, or none that a verifier must heed.
std::optional<PermittedSubtrees> permitted_subtrees(X509* certificate);

/// The extension's text in OpenSSL's form (x509v3_config(5)) that permits `names` and, of
/// addresses, kProbeAddress only. Without names it permits one that can't exist.
std::string constraint_text(const std::vector<std::string>& names);

/// Whether `name` is one of `suffixes` or below one.
bool is_covered(std::string_view name, const std::vector<std::string>& suffixes);

}  // namespace hagring::proxy
