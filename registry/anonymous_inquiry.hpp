// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "registry/origin.hpp"
#include "registry/privacy.hpp"

namespace hagring::registry {

/// Finds out whether the registry lets an anonymous client have what `request`, a HEAD, asks for,
/// and tells `privacy`: it is sent without credentials, and, where the registry's answer names a
/// token service, once more with a token that anybody is given there. A blob that is redirected
/// tells nothing by itself (it may be a page to log in on), nor does content that isn't there (it
/// may have been deleted): whether a tag is shown tells then.
/// Whatever leaves it open ends the inquiry, as one of a registry that can't be asked at all only
/// if that is so: no way to it, no answer within some seconds, or 5xx. A limited rate isn't
/// (others can use it up), nor a token service in trouble, nor a chain that can't be verified.
/// Ends within 20 s.
///
/// Of content that the registry has just shown somebody else, that it isn't there (404) is a no;
/// of `presumed` content, which may never have been there, it leaves it open, and isn't forgotten.
awaitable<void> learn_audience(Clock& clock, Origin& origin, Privacy& privacy, Upstream to,
                               http::Request request, std::string repository,
                               bool presumed = false);

/// The token in a token service's answer (distribution/docs/content/spec/auth/token.md, "Token
/// response fields"); nullopt when there is none, or one that no field may have.
std::optional<std::string> token_in(std::string_view document);

}  // namespace hagring::registry
