// SPDX-License-Identifier: Apache-2.0
#include "registry/rule.hpp"

#include <fmt/core.h>

#include <array>
#include <utility>

#include "registry/glob.hpp"
#include "userspace/base/result.hpp"

namespace hagring::registry {
namespace {

constexpr std::array kTagOrders = {
    std::pair{std::string_view("origin-first"), TagOrder::origin_first},
    std::pair{std::string_view("peers-first"), TagOrder::peers_first},
    std::pair{std::string_view("peers-only"), TagOrder::peers_only}};
constexpr std::array kAuthorize = {std::pair{std::string_view("auto"), Authorize::automatic},
                                   std::pair{std::string_view("open"), Authorize::open},
                                   std::pair{std::string_view("strict"), Authorize::strict}};
constexpr std::array kMirror = {std::pair{std::string_view("yes"), true},
                                std::pair{std::string_view("no"), false}};

/// Longer than any reference (255 bytes of name, 128 of tag or 135 of digest).
constexpr std::size_t kMaxPattern = 1024;

template <typename Words>
std::string_view word_for(const Words& words, auto value) {
  for (const auto& [word, meaning] : words) {
    if (meaning == value) return word;
  }
  return "";
}

/// The meaning of a key's value, for a key that isn't set yet.
template <typename Words, typename Value>
void set_once(const Words& words, std::string_view key, std::string_view value,
              std::optional<Value>& into) {
  if (into) throw StartError(fmt::format("{} is set twice", key));
  std::string known;
  for (const auto& [word, meaning] : words) {
    if (word == value) into = meaning;
    known.append(known.empty() ? "" : ", ").append(word);
  }
  if (!into) throw StartError(fmt::format("{}={}: {} is one of {}", key, value, key, known));
}

/// `pattern` with a name in the place of each wildcard, to be judged by a name's grammar.
std::string with_names_for_wildcards(std::string_view pattern, std::string_view name) {
  std::string text;
  for (std::size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] != '*') {
      text += pattern[at];
      continue;
    }
    if (at + 1 < pattern.size() && pattern[at + 1] == '*') ++at;
    text += name;
  }
  return text;
}

/// Throws unless some image's name can be what the pattern describes.
void check_name(std::string_view pattern) {
  if (pattern == "**") return;
  const auto slash = pattern.find('/');
  const auto first = pattern.substr(0, slash);
  if (slash == std::string_view::npos) {
    throw StartError(fmt::format(
        "'{}' names no repository: write {}/** for all of a registry's, docker.io/library/NAME for "
        "an official image",
        pattern, first));
  }
  const auto registry = with_names_for_wildcards(first, "a.a");
  const auto path = pattern.substr(slash + 1);
  if (const auto name = registry_of_host(first); name != first) {
    throw StartError(
        fmt::format("images of {} are named {}: write {}/{}", first, name, name, path));
  }
  if (first == "docker.io" && path.find_first_of("/*") == std::string_view::npos) {
    throw StartError(fmt::format(
        "'{}': the official images are docker.io/library/{}, and all others have a slash", pattern,
        path));
  }
  if (!Reference::parse(registry + "/" + with_names_for_wildcards(path, "a"))) {
    throw StartError(fmt::format(
        "'{}' describes no image's name: write registry/repository in full and in lower case, with "
        "* for any text within a part and ** for any text",
        pattern));
  }
}

}  // namespace

std::string_view to_string(TagOrder order) { return word_for(kTagOrders, order); }
std::string_view to_string(Authorize authorize) { return word_for(kAuthorize, authorize); }

Rule Rule::parse(std::string_view text) {
  Rule rule;
  std::size_t words = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto begin = text.find_first_not_of(" \t", at);
    if (begin == std::string_view::npos) break;
    at = std::min(text.find_first_of(" \t", begin), text.size());
    const auto word = text.substr(begin, at - begin);
    rule.text_.append(words == 0 ? "" : " ").append(word);
    if (words++ == 0) {
      rule.set_pattern(word);
    } else {
      rule.set(word);
    }
  }
  if (words < 2) {
    throw StartError(
        "it is a pattern and at least one of tags=…, authorize=… and mirror=…, as in "
        "'docker.io/library/* tags=peers-first'");
  }
  return rule;
}

void Rule::set_pattern(std::string_view pattern) {
  if (pattern.size() > kMaxPattern) throw StartError("the pattern is too long");
  auto name = pattern;
  if (const auto at = name.find('@'); at != std::string_view::npos) {
    digest_ = name.substr(at + 1);
    name = name.substr(0, at);
    if (digest_->find('*') == std::string::npos && !Digest::parse(*digest_)) {
      throw StartError(fmt::format("'{}' is no digest, nor a pattern of one", *digest_));
    }
  }
  const auto slash = name.rfind('/');
  const auto colon = name.rfind(':');
  const bool has_tag = colon != std::string_view::npos &&
                       (slash == std::string_view::npos ? name.starts_with("**") : colon > slash);
  if (has_tag) {
    tag_ = name.substr(colon + 1);
    name = name.substr(0, colon);
    if (!is_tag(with_names_for_wildcards(*tag_, "a"))) {
      throw StartError(fmt::format("'{}' is no tag, nor a pattern of one", *tag_));
    }
  }
  if (tag_ && digest_) {
    throw StartError("a request has a tag or a digest: write two rules for both");
  }
  check_name(name);
  name_ = name;
}

void Rule::set(std::string_view assignment) {
  const auto equals = assignment.find('=');
  const auto key = assignment.substr(0, equals);
  const auto value =
      equals == std::string_view::npos ? std::string_view() : assignment.substr(equals + 1);
  if (key == "tags") return set_once(kTagOrders, key, value, tags);
  if (key == "authorize") return set_once(kAuthorize, key, value, authorize);
  if (key == "mirror") return set_once(kMirror, key, value, mirror);
  throw StartError(fmt::format("'{}' is none of tags=…, authorize=… and mirror=…", assignment));
}

bool Rule::matches(const Reference& reference) const {
  if (tag_ && !(reference.tag && glob_matches(*tag_, *reference.tag))) return false;
  if (digest_ && !(reference.digest && glob_matches(*digest_, reference.digest->to_string()))) {
    return false;
  }
  return glob_matches(name_, reference.name());
}

void Rules::add(std::string_view text) {
  try {
    rules_.push_back(Rule::parse(text));
  } catch (const StartError& error) {
    throw StartError(
        fmt::format("--rule: number {}, '{}': {}", rules_.size() + 1, text, error.what()));
  }
}

Decision Rules::decide(const Reference& reference) const {
  Decision decision;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const auto& rule = rules_[i];
    const bool news = (rule.tags && !decision.tags_rule) ||
                      (rule.authorize && !decision.authorize_rule) ||
                      (rule.mirror && !decision.mirror_rule);
    if (!news || !rule.matches(reference)) continue;
    const auto take = [i](const auto& from, auto& into, std::optional<std::size_t>& by) {
      if (!from || by) return;
      into = *from;
      by = i + 1;
    };
    take(rule.tags, decision.tags, decision.tags_rule);
    take(rule.authorize, decision.authorize, decision.authorize_rule);
    take(rule.mirror, decision.mirror, decision.mirror_rule);
  }
  return decision;
}

}  // namespace hagring::registry
