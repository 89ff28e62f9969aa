// SPDX-License-Identifier: Apache-2.0
#include "userspace/cli/explain.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <iterator>
#include <nlohmann/json.hpp>

#include "userspace/cli/admin_client.hpp"

namespace hagring::cli {
namespace {

using Json = nlohmann::json;
using Out = std::back_insert_iterator<std::string>;

constexpr int kNotMirrored = 1;
constexpr int kBadUsage = 2;
constexpr auto kLimit = std::chrono::seconds(10);

void render_read(Out out, std::string_view title, const Json& read) {
  fmt::format_to(out, "  {}: {}\n", title, read.at("means").get<std::string>());
  for (const auto* key : {"mirror", "tags", "authorize"}) {
    const auto& decided = read.at(key);
    const auto by = decided.contains("rule")
                        ? fmt::format("rule {}: {}", decided.at("rule").get<int>(),
                                      decided.at("text").get<std::string>())
                        : std::string("default");
    fmt::format_to(out, "    {:<10} {:<13} {}\n", key, decided.at("value").get<std::string>(), by);
  }
}

void render_privacy(Out out, const Json& privacy) {
  const auto repository = privacy.at("repository").get<std::string>();
  fmt::format_to(
      out, "  the repository is {}{}; {} digests of it are marked private\n",
      repository == "not known" ? "not known to be public" : repository,
      privacy.contains("believed_seconds")
          ? fmt::format(" (asked again in {} s)", privacy.at("believed_seconds").get<long>())
          : "",
      privacy.at("private_digests").get<std::size_t>());
  if (privacy.contains("inquiry")) {
    fmt::format_to(out, "  asking whether everybody may have it: {}\n",
                   privacy.at("inquiry").get<std::string>());
  }
  if (privacy.contains("content")) {
    const auto& content = privacy.at("content");
    const auto from = content.at("fetched_from").get<std::vector<std::string>>();
    fmt::format_to(out, "  this node has it ({}){}{}: {}\n",
                   content.at("digest").get<std::string>(), from.empty() ? "" : ", fetched from ",
                   fmt::join(from, ", "), content.at("means").get<std::string>());
  }
  if (!privacy.contains("digest_is_private")) return;
  if (!privacy.at("digest_is_private").get<bool>()) {
    fmt::format_to(out, "  the digest isn't marked private\n");
    return;
  }
  const auto names = privacy.at("digest_private_under").get<std::vector<std::string>>();
  fmt::format_to(out, "  the digest is private{}{}\n", names.empty() ? "" : " under ",
                 fmt::join(names, ", "));
}

}  // namespace

std::string render_explanation(const std::string& json) {
  const auto answer = Json::parse(json);
  std::string text;
  const Out out(text);
  fmt::format_to(out, "{}\n", answer.at("reference").get<std::string>());
  fmt::format_to(out, "  registry {} at {}: {}\n", answer.at("registry").get<std::string>(),
                 answer.at("host").get<std::string>(),
                 answer.at("mirrored").get<bool>()
                     ? std::string("mirrored")
                     : "not mirrored: " + answer.at("why_not").get<std::string>());
  if (answer.contains("by_tag")) render_read(out, "by its tag", answer.at("by_tag"));
  render_read(out, "by digest", answer.at("by_digest"));
  if (answer.contains("privacy")) render_privacy(out, answer.at("privacy"));
  return text;
}

int explain(const ExplainOptions& options) {
  const auto reference = registry::Reference::parse_familiar(options.what);
  if (!reference) {
    std::fprintf(stderr,
                 "hagring: '%s' is no image's name (nginx:1.27, registry.k8s.io/pause:3.10, "
                 "nginx@sha256:…)\n",
                 options.what.c_str());
    return kBadUsage;
  }
  std::string document;
  if (options.decide) {
    document = options.decide(*reference);
  } else {
    const auto target = "/explain?reference=" + query_text(reference->to_string());
    const auto reply = ask_agent_or_tell(options.socket, target, kLimit);
    if (!reply) return kNoAgent;
    if (reply->status != 200) {
      std::fprintf(stderr, "hagring: the agent can't explain '%s': %s\n", options.what.c_str(),
                   reply->document.c_str());
      return kBadUsage;
    }
    document = reply->document;
  }
  std::fputs((options.json ? document + "\n" : render_explanation(document)).c_str(), stdout);
  return Json::parse(document).at("mirrored").get<bool>() ? 0 : kNotMirrored;
}

}  // namespace hagring::cli
