// SPDX-License-Identifier: Apache-2.0
#include "userspace/cli/lookup.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <iterator>
#include <nlohmann/json.hpp>

#include "registry/reference.hpp"
#include "userspace/cli/admin_client.hpp"

namespace hagring::cli {
namespace {

using Json = nlohmann::json;

constexpr int kNobody = 1;
constexpr int kBadUsage = 2;
/// Of kad::LookupOptions::limit, and some.
constexpr auto kLimit = std::chrono::seconds(65);

/// The key under which the mesh knows it; empty: neither a digest nor a name.
std::string key_of(const std::string& what) {
  if (const auto digest = registry::Digest::parse(what)) return digest->to_string();
  auto reference = registry::Reference::parse_familiar(what);
  if (!reference) return "";
  return reference->digest ? reference->digest->to_string() : reference->to_string();
}

std::string counted(int count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

}  // namespace

std::string render_lookup(const std::string& json) {
  const auto answer = Json::parse(json);
  const auto& providers = answer.at("providers");
  std::string text;
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "{}\n", answer.at("key").get<std::string>());
  if (answer.at("own").get<bool>()) fmt::format_to(out, "  this node has it\n");
  for (const auto& provider : providers) {
    fmt::format_to(out, "  {}  {}  {:.1f} ms\n", provider.at("peer_id").get<std::string>(),
                   fmt::join(provider.at("addresses").get<std::vector<std::string>>(), " "),
                   provider.at("milliseconds").get<double>());
  }
  fmt::format_to(out, "{} other node{} ({} asked in {}, {} unanswered, {:.1f} ms{})\n",
                 providers.size(), providers.size() == 1 ? " has it" : "s have it",
                 answer.at("messages").get<int>(), counted(answer.at("rounds").get<int>(), "round"),
                 answer.at("failures").get<int>(), answer.at("milliseconds").get<double>(),
                 answer.at("complete").get<bool>() ? "" : "; the search was cut short");
  return text;
}

int look_up(const LookupOptions& options) {
  const auto key = key_of(options.what);
  if (key.empty()) {
    std::fprintf(stderr,
                 "hagring: '%s' is neither a digest (sha256:…) nor an image's name (nginx:1.27, "
                 "registry.k8s.io/pause:3.10)\n",
                 options.what.c_str());
    return kBadUsage;
  }
  const auto reply = ask_agent_or_tell(options.socket, "/lookup?key=" + query_text(key), kLimit);
  if (!reply) return kNoAgent;
  if (reply->status != 200) {
    std::fprintf(stderr, "hagring: the agent refuses to look '%s' up: %s\n", key.c_str(),
                 reply->document.c_str());
    return kBadUsage;
  }
  std::fputs((options.json ? reply->document + "\n" : render_lookup(reply->document)).c_str(),
             stdout);
  const auto answer = Json::parse(reply->document);
  return answer.at("providers").empty() && !answer.at("own").get<bool>() ? kNobody : 0;
}

}  // namespace hagring::cli
