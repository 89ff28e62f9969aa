// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/reference.hpp"

namespace hagring::registry {

/// Who says what a tag points to.
enum class TagOrder {
  origin_first,  ///< the origin; this node and its peers when it can't
  peers_first,   ///< this node and its peers; the origin when none of them knows the tag
  peers_only,    ///< this node and its peers; the origin is asked for neither tag nor content
};

/// Whom content is given to without the origin's yes.
enum class Authorize {
  automatic,  ///< anybody, unless it is known to be private
  open,       ///< anybody
  strict,     ///< nobody
};

/// The words of a rule: `origin-first`, `auto`.
std::string_view to_string(TagOrder order);
std::string_view to_string(Authorize authorize);

/// One rule, `PATTERN key=value…`: what it sets for the references that the pattern describes.
class Rule {
 public:
  /// The pattern is `registry/repository`, `…:tag` or `…@digest` with `*` for any text within a
  /// part of the path and `**` for any text; without tag and digest it is for all of them. Keys are
  /// `tags`, `authorize` and `mirror`. Throws StartError that says what is wrong and how it is
  /// written.
  static Rule parse(std::string_view text);

  /// Whether the pattern describes `reference`. A pattern with a tag (a digest) describes those
  /// only that are asked for by a tag (a digest).
  bool matches(const Reference& reference) const;

  const std::string& text() const { return text_; }

  std::optional<TagOrder> tags{};
  std::optional<Authorize> authorize{};
  std::optional<bool> mirror{};

 private:
  void set_pattern(std::string_view pattern);
  void set(std::string_view assignment);

  std::string text_;
  std::string name_;
  std::optional<std::string> tag_;
  std::optional<std::string> digest_;
};

/// What holds for a reference, and the number (from 1) of the rule that decided it; none: the
/// default.
struct Decision {
  TagOrder tags = TagOrder::origin_first;
  Authorize authorize = Authorize::automatic;
  bool mirror = true;
  std::optional<std::size_t> tags_rule{};
  std::optional<std::size_t> authorize_rule{};
  std::optional<std::size_t> mirror_rule{};
};

/// Rules in order. Each key is decided by the first rule that matches and sets it.
class Rules {
 public:
  /// Throws StartError that names the rule by number and text.
  void add(std::string_view text);

  Decision decide(const Reference& reference) const;

  const std::vector<Rule>& all() const { return rules_; }

 private:
  std::vector<Rule> rules_;
};

}  // namespace hagring::registry
