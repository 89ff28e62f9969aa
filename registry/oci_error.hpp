// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace hagring::registry {

/// The body of an error response (OCI distribution-spec, "Error Codes"): `code` is one of the
/// specification's (`BLOB_UNKNOWN`), `message` is for people. Both must be plain text of ours.
std::string oci_error(std::string_view code, std::string_view message);

}  // namespace hagring::registry
