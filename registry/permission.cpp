// SPDX-License-Identifier: Apache-2.0
#include "registry/permission.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "registry/anonymous_inquiry.hpp"
#include "registry/forwarding.hpp"
#include "registry/presumption.hpp"
#include "userspace/base/deadline.hpp"

namespace hagring::registry {
namespace {

std::string name_of(const Inquiry& inquiry) {
  return inquiry.registry + "/" + inquiry.route.repository;
}

std::string_view credentials_of(const Inquiry& inquiry) {
  return inquiry.request.headers.get("Authorization").value_or("");
}

/// A HEAD of content with the client's own fields, but for those that ask for less than the whole.
http::Request head_of(const Inquiry& inquiry, const std::string& reference) {
  auto request = forwarded(inquiry.request);
  const bool blob = inquiry.route.kind == Route::Kind::blob;
  request.body = {};
  request.method = "HEAD";
  request.target = fmt::format("/v2/{}/{}/{}", inquiry.route.repository,
                               blob ? "blobs" : "manifests", reference);
  for (const auto* field : {"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since",
                            "If-Unmodified-Since"}) {
    request.headers.erase(field);
  }
  return request;
}

/// Whether the repository is one that `digest` is content of, as its registry has shown this node.
bool belongs(const Inquiry& inquiry, const Digest& digest) {
  const auto repository = name_of(inquiry);
  return inquiry.parts.grants->confirmed(digest, repository) &&
         inquiry.parts.privacy->vouches(repository, digest);
}

/// Whether the origin has let these credentials into this repository within `window`, and the
/// content is of it: a right to one repository is none to what another one has.
bool was_allowed(const Inquiry& inquiry, const Digest& digest, Duration window) {
  return window > Duration(0) && belongs(inquiry, digest) &&
         inquiry.parts.grants->allowed(credentials_of(inquiry), name_of(inquiry), window);
}

/// Whether an answer leaves open if the client would be let in.
bool leaves_open(const Result<Exchange>& exchange) {
  return !exchange || is_trouble(exchange->response.status);
}

/// An origin that is known to be down isn't waited for, but one that limits this client is asked
/// all the same: a HEAD may be free (Docker Hub's is), and nobody else can say yes.
awaitable<Result<Exchange>> ask_for_yes(Inquiry& inquiry, Digest digest) {
  if (inquiry.origin_failure) co_return inquiry.origin_failure;
  auto& parts = inquiry.parts;
  const auto head = head_of(inquiry, digest.to_string());
  Asking how{.patience = parts.options.tag_patience, .others = true};
  auto exchange = co_await parts.origin.ask(inquiry.origin, head, how);
  if (exchange || exchange.error() != OriginErrc::limited) co_return exchange;
  how.others = false;
  co_return co_await parts.origin.ask(inquiry.origin, head, how);
}

std::string withheld_text(const Inquiry& inquiry, const Digest& digest) {
  const auto mark = inquiry.parts.privacy->mark(digest);
  if (mark && !mark->empty()) {
    return fmt::format("the content is private ({})", Privacy::field(*mark));
  }
  const auto names = inquiry.parts.privacy->presumed(digest);
  return names.empty() ? std::string("the content needs the registry's yes")
                       : fmt::format("the content may be private ({})", Privacy::field(names));
}

/// Finds out, in the background, whether the repository is for everybody.
void find_out(Inquiry& inquiry, const std::string& reference) {
  auto& parts = inquiry.parts;
  const auto repository = name_of(inquiry);
  if (!parts.hooks.background || !parts.privacy->begin_inquiry(repository)) return;
  auto request = head_of(inquiry, reference);
  parts.hooks.background([&parts, to = inquiry.origin, request, repository] {
    return learn_audience(parts.clock, parts.origin, *parts.privacy, to, request, repository);
  });
}

/// Finds out, in the background, whether those of these repositories are for everybody of which it
/// isn't known.
void find_out_about(Inquiry& inquiry, const Privacy::Names& repositories, const Digest& digest) {
  auto& parts = inquiry.parts;
  if (!parts.hooks.background) return;
  const bool manifest = inquiry.route.kind == Route::Kind::manifest;
  for (const auto& repository : begin_inquiries(parts.policy, *parts.privacy, repositories)) {
    auto question = anonymous_question(parts.policy, repository, digest, manifest);
    if (!question) {
      parts.privacy->end_inquiry(repository, false);
      continue;
    }
    // At the address that the client has chosen, where it is that registry's.
    if (repository == name_of(inquiry)) question->to = inquiry.origin;
    parts.hooks.background([&parts, question = *std::move(question), repository] {
      return learn_audience(parts.clock, parts.origin, *parts.privacy, question.to,
                            question.request, repository, true);
    });
  }
}

/// What to ask a client for credentials with that came without; none: they wouldn't help.
std::optional<std::string> own_challenge(const Inquiry& inquiry) {
  const auto& parts = inquiry.parts;
  const bool offline = parts.options.offline_credentials > Duration(0);
  if (inquiry.withheld.empty() || !offline || !credentials_of(inquiry).empty()) return std::nullopt;
  return parts.grants->challenge(name_of(inquiry));
}

}  // namespace

bool is_trouble(unsigned status) { return status == 429 || status >= 500; }

bool is_no(unsigned status) { return status == 401 || status == 403 || status == 404; }

awaitable<Result<void>> refuse_for_origin(Inquiry& inquiry, const Result<Exchange>& exchange) {
  const auto cause = exchange ? make_error_code(Errc::unavailable) : exchange.error();
  co_return inquiry.withheld.empty() ? co_await refuse_unreachable(inquiry, cause)
                                     : co_await refuse_withheld(inquiry, cause);
}

bool asks_in_place_of_origin(const Inquiry& inquiry) { return own_challenge(inquiry).has_value(); }

std::optional<Privacy::Names> private_under(const Policy& policy, Privacy& privacy,
                                            const Digest& digest) {
  auto mark = privacy.mark(digest);
  if (!mark) return std::nullopt;
  const bool open = std::ranges::any_of(*mark, [&](const std::string& repository) {
    const auto reference = Reference::parse(repository);
    return reference && privacy.vouches(repository, digest) &&
           policy.decide(*reference).authorize == Authorize::open;
  });
  return open ? std::nullopt : std::move(mark);
}

awaitable<Result<bool>> is_free(Inquiry& inquiry, Digest digest, Duration limit) {
  auto& parts = inquiry.parts;
  if (parts.privacy == nullptr) co_return true;
  auto& privacy = *parts.privacy;
  const bool proven = privacy.proven(digest);
  if (proven) co_return !private_under(parts.policy, privacy, digest);
  // A mark that a mere answer has made is no reason not to look where the content is from: that
  // says whose yes counts.
  const auto [names, here] =
      co_await sources_of(parts.store, parts.policy, privacy, digest, name_of(inquiry));
  if (private_under(parts.policy, privacy, digest)) co_return false;
  if (names.empty()) co_return true;
  find_out_about(inquiry, names, digest);
  const auto standing =
      co_await wait_for_standing(parts.clock, parts.policy, privacy, names, limit);
  if (co_await asked_to_stop()) co_return Errc::cancelled;
  if (standing == Standing::unreachable) {
    inquiry.pull.note = "it may be private, but its registry can't be asked";
  }
  if (standing == Standing::free && !here) privacy.note_free(digest);
  co_return may_be_given(standing);
}

awaitable<Result<Permission>> may_have(Inquiry& inquiry, Digest digest) {
  auto& parts = inquiry.parts;
  if (parts.privacy == nullptr) co_return Permission::given;
  const bool strict = inquiry.rule.authorize == Authorize::strict;
  CO_TRY(const bool free, co_await is_free(inquiry, digest, strict ? Duration(0) : kInquiryWait));
  if (!strict && free) co_return Permission::given;
  if (was_allowed(inquiry, digest, parts.options.grant)) co_return Permission::given;
  inquiry.withheld = withheld_text(inquiry, digest);
  if (inquiry.rule.tags == TagOrder::peers_only) co_return Permission::withheld;
  const auto exchange = co_await ask_for_yes(inquiry, digest);
  if (!exchange && is_cancelled(exchange.error())) co_return exchange.error();
  if (leaves_open(exchange)) {
    if (!was_allowed(inquiry, digest, parts.options.offline_credentials)) {
      if (!exchange) inquiry.origin_failure = exchange.error();
      co_return Permission::withheld;
    }
    inquiry.pull.note = "the origin can't be asked; these credentials were good before";
  } else {
    note_answer(inquiry, digest, *exchange);
    const bool yes = exchange->response.status / 100 == 2 && !exchange->redirected;
    // What another repository keeps private, this one has to send.
    if (!yes || !parts.privacy->vouches(name_of(inquiry), digest)) co_return Permission::withheld;
  }
  inquiry.withheld.clear();
  co_return Permission::given;
}

void note_yes(Inquiry& inquiry, const std::optional<Digest>& digest, Proof proof) {
  auto& parts = inquiry.parts;
  if (parts.privacy == nullptr) return;
  const auto repository = name_of(inquiry);
  const auto credentials = credentials_of(inquiry);
  parts.grants->allow(credentials, repository);
  const bool open = inquiry.rule.authorize == Authorize::open;
  const bool anonymous = credentials.empty() && !inquiry.request.headers.contains("Cookie");
  if (anonymous) parts.privacy->learn(repository, Audience::everybody);
  if (!digest) return;
  const bool shown = proof == Proof::bytes || parts.privacy->vouches(repository, *digest);
  if (open) {
    if (shown) parts.privacy->clear(*digest);
    return;
  }
  parts.privacy->add(*digest, repository, proof);
  if (shown) parts.grants->confirm(*digest, repository);
  // Not by a blob: to let somebody in, registries redirect them to where blobs are kept, as others
  // do with who isn't let in.
  const bool manifest = inquiry.route.kind == Route::Kind::manifest;
  if (manifest && !anonymous && inquiry.rule.mirror) find_out(inquiry, digest->to_string());
}

void note_answer(Inquiry& inquiry, const std::optional<Digest>& digest, const Exchange& exchange) {
  if (inquiry.parts.privacy == nullptr) return;
  const auto& response = exchange.response;
  const bool yes = response.status / 100 == 2;
  if (yes && !exchange.redirected) return note_yes(inquiry, digest);
  const bool elsewhere = yes || response.status / 100 == 3;
  const bool is_public = inquiry.parts.privacy->audience(name_of(inquiry)) == Audience::everybody;
  if (elsewhere && !is_public && digest && inquiry.rule.authorize != Authorize::open) {
    // The client may follow it by itself. That it is content of the repository is not said.
    inquiry.parts.privacy->add_unknown(*digest);
  }
  if (response.status != 401 && response.status != 403) return;
  inquiry.parts.grants->deny(credentials_of(inquiry), name_of(inquiry));
  // Without credentials it may be the mere question for some.
  const bool had_some = !credentials_of(inquiry).empty();
  if (response.status == 403 || had_some) inquiry.parts.privacy->note_refusal(name_of(inquiry));
  const auto challenge = response.headers.get("WWW-Authenticate");
  if (challenge) inquiry.parts.grants->challenged(name_of(inquiry), *challenge);
}

awaitable<Result<void>> refuse_withheld(Inquiry& inquiry, error_code cause) {
  if (inquiry.rule.tags == TagOrder::peers_only) {
    co_return co_await inquiry.answer.refuse(
        403, "DENIED",
        fmt::format("hagring: {}, and a rule says tags=peers-only, so that the registry isn't "
                    "asked who may have it; authorize=open gives it to anybody",
                    inquiry.withheld));
  }
  const auto challenge = own_challenge(inquiry);
  if (challenge) {
    co_return co_await inquiry.answer.refuse(
        401, "UNAUTHORIZED", "hagring: " + inquiry.withheld + ", and the registry can't be asked",
        {{"WWW-Authenticate", *challenge}});
  }
  co_return co_await refuse_unreachable(inquiry, cause);
}

}  // namespace hagring::registry
