// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/explanation.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "registry/presumption.hpp"

namespace hagring::agent {
namespace {

using Json = nlohmann::ordered_json;
using registry::Authorize;
using registry::Decision;
using registry::Reference;
using registry::TagOrder;

Json decided(const registry::Policy& policy, std::string_view value,
             std::optional<std::size_t> rule) {
  Json entry{{"value", value}};
  if (rule) {
    entry["rule"] = *rule;
    entry["text"] = policy.rules().all()[*rule - 1].text();
  }
  return entry;
}

std::string tag_meaning(const Decision& decision) {
  if (decision.tags == TagOrder::peers_only) {
    return "this node and its peers say what the tag points to; the registry is never asked";
  }
  if (decision.tags == TagOrder::peers_first) {
    return "this node and its peers say what the tag points to; the registry is asked when none of "
           "them knows";
  }
  const std::string first =
      "the registry says what the tag points to, asked with the client's own credentials; this "
      "node and its peers do when it can't be asked or is in trouble";
  switch (decision.authorize) {
    case Authorize::automatic:
      return first + ", or when it refuses and the content isn't known to be private";
    case Authorize::open:
      return first + ", or when it refuses";
    case Authorize::strict:
      break;
  }
  return first;
}

std::string content_meaning(const Decision& decision) {
  const bool peers_only = decision.tags == TagOrder::peers_only;
  const std::string sources = peers_only ? "from this node, then its peers, never the registry; "
                                         : "from this node, then its peers, then the registry; ";
  const std::string yes = peers_only ? "isn't given, since the registry isn't asked who may have it"
                                     : "only once the registry has let the client's credentials in";
  switch (decision.authorize) {
    case Authorize::open:
      return sources + "to anybody";
    case Authorize::automatic:
      return sources + "to anybody; private content " + yes;
    case Authorize::strict:
      break;
  }
  return sources + (peers_only ? "it " : "") + yes + ", public or not";
}

/// A read of `reference`, by its tag or else by a digest.
Json read(const registry::Policy& policy, const Reference& reference, bool mirrored) {
  const auto decision = policy.decide(reference);
  std::string meaning = "goes to the registry untouched";
  if (mirrored && decision.mirror) {
    meaning = reference.tag ? tag_meaning(decision) : content_meaning(decision);
  }
  return {{"mirror", decided(policy, decision.mirror ? "yes" : "no", decision.mirror_rule)},
          {"tags", decided(policy, to_string(decision.tags), decision.tags_rule)},
          {"authorize", decided(policy, to_string(decision.authorize), decision.authorize_rule)},
          {"means", std::move(meaning)}};
}

std::string_view meaning(registry::Standing standing) {
  switch (standing) {
    case registry::Standing::free:
      return "free: each registry that it is from shows it to everybody";
    case registry::Standing::unreachable:
      return "given: it may be private, but its registry can't be asked at all";
    case registry::Standing::undecided:
      return "presumed private: its registry hasn't said yet whether everybody may have it";
    case registry::Standing::kept:
      break;
  }
  return "presumed private: it isn't for everybody, or a rule or --registry keeps its registry "
         "from being asked";
}

/// Where content without a proven mark is from, and what follows.
Json presumption(const registry::Policy& policy, const registry::Privacy& privacy,
                 const registry::Digest& digest) {
  const auto names = privacy.presumed(digest);
  Json known{{"digest", digest.to_string()}, {"fetched_from", names}};
  const bool marked = privacy.proven(digest);
  known["means"] = marked          ? "private: it is marked"
                   : names.empty() ? "free: containerd doesn't say that it is from a registry"
                                   : meaning(registry::standing_of(policy, privacy, names));
  return known;
}

std::string_view inquiry_text(registry::Knowledge::Inquiry inquiry) {
  switch (inquiry) {
    case registry::Knowledge::Inquiry::under_way:
      return "under way";
    case registry::Knowledge::Inquiry::unreachable:
      return "the registry couldn't be asked";
    case registry::Knowledge::Inquiry::in_vain:
      return "the registry said neither yes nor no";
    case registry::Knowledge::Inquiry::none:
      break;
  }
  return "";
}

Json what_is_known(const registry::Policy& policy, registry::Privacy& privacy,
                   const Reference& reference, const std::optional<registry::Digest>& held) {
  const auto name = reference.name();
  const auto audience = privacy.audience(name);
  Json known{{"repository", to_string(audience)}, {"private_digests", privacy.marked(name)}};
  if (audience != registry::Audience::unknown) {
    known["believed_seconds"] =
        std::chrono::ceil<std::chrono::seconds>(privacy.believed_for(name)).count();
  }
  const auto inquiry = inquiry_text(privacy.knowledge(name).inquiry);
  if (!inquiry.empty()) known["inquiry"] = inquiry;
  if (held) known["content"] = presumption(policy, privacy, *held);
  if (!reference.digest) return known;
  const auto mark = privacy.mark(*reference.digest);
  known["digest_is_private"] = mark.has_value();
  if (mark) known["digest_private_under"] = *mark;
  return known;
}

}  // namespace

std::string explain(const registry::Policy& policy, const Reference& reference,
                    registry::Privacy* privacy, const std::optional<registry::Digest>& held) {
  const bool mirrored = policy.mirrors(reference.registry);
  Json answer{{"reference", reference.to_string()},
              {"registry", reference.registry},
              {"host", registry::host_of_registry(reference.registry)},
              {"mirrored", mirrored && policy.decide(reference).mirror}};
  if (!mirrored) {
    answer["why_not"] = fmt::format(
        "--registry doesn't name it, and --default-registries doesn't stand for it: connections to "
        "it are passed through as they are; --registry {} mirrors it",
        reference.registry);
  } else if (const auto rule = policy.decide(reference).mirror_rule;
             rule && !policy.decide(reference).mirror) {
    answer["why_not"] = fmt::format("rule {} excludes it", *rule);
  }
  // A request has a tag or a digest; with both in a name, runtimes ask for the digest.
  auto content = reference;
  content.tag.reset();
  if (reference.tag && !reference.digest) answer["by_tag"] = read(policy, reference, mirrored);
  answer["by_digest"] = read(policy, content, mirrored);
  if (privacy != nullptr) answer["privacy"] = what_is_known(policy, *privacy, reference, held);
  return answer.dump(2);
}

}  // namespace hagring::agent
