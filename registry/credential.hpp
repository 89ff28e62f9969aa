// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace hagring::registry {

/// Whose an Authorization field's value is, as far as a registry counts requests: two of the same
/// user are equal. Tokens differ from pull to pull, so of those that are readable (JWT, RFC 7519:
/// Docker Hub, Quay, GitLab, Harbor) issuer and subject tell; an anonymous client's subject is
/// empty. Anything else stands for itself. Nothing is verified, and it may be a secret.
std::string owner_of_credential(std::string_view authorization);

}  // namespace hagring::registry
