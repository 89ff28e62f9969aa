// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

#include "userspace/cli/json_text.hpp"
#include "userspace/cli/trust.hpp"

namespace hagring::cli {
namespace {

using Json = nlohmann::json;
using Out = std::back_insert_iterator<std::string>;

void render_authorities(Out out, const Json& document) {
  const auto& authorities = document.at("authorities");
  if (authorities.empty()) {
    fmt::format_to(out, "CA           none yet: `hagring trust install` or the agent makes it\n");
  }
  bool first = true;
  for (const auto& authority : authorities) {
    fmt::format_to(out, "{:<12} {}{}\n", first ? "CA" : "Next CA", text(authority, "file"),
                   document.value("given", false) ? " (given)" : "");
    fmt::format_to(out, "  SHA-256    {}\n", text(authority, "sha256"));
    fmt::format_to(out, "  valid      {} to {}\n", text(authority, "not_before"),
                   text(authority, "not_after"));
    fmt::format_to(out, "  installed  {}\n", authority.value("installed", false) ? "yes" : "no");
    first = false;
  }
}

void render_store(Out out, const Json& store) {
  fmt::format_to(out, "File         {}\n", text(store, "file"));
  if (store.contains("problem")) fmt::format_to(out, "  problem    {}\n", text(store, "problem"));
  fmt::format_to(out, "  since      {}\n", text(store, "since"));
  if (store.value("stateless", false)) {
    fmt::format_to(
        out,
        "  note       may be gone after a restart of the machine (tmpfs or overlay): the "
        "agent puts it\n             back, and a containerd that started before that must "
        "be started again\n");
  }
  if (store.value("regenerated", false)) {
    fmt::format_to(out,
                   "  note       the host's own tools make this directory anew (update-ca-"
                   "certificates, update-ca-trust):\n             a running agent puts the file "
                   "back\n");
  }
}

/// What the operator has to do about a containerd, if anything.
std::string verdict(const Json& runtime, const Json& clients) {
  for (const auto& client : clients) {
    if (client.at("pid") != runtime.at("pid")) continue;
    if (client.at("trust") == "trusted") return "trusts the CA: proven by a probe";
    return text(client, "trust") + ": " + text(client, "reason");
  }
  if (!runtime.contains("started"))
    return "its start can't be seen: run in the host's pid namespace";
  if (!runtime.value("started_before_install", true)) {
    return "started after the CA was put there: it will trust it";
  }
  return "started before the CA was put there and reads its roots only once: restart it";
}

}  // namespace

std::string render_trust(const std::string& json) {
  const auto document = Json::parse(json);
  std::string rendered;
  Out out(rendered);
  render_authorities(out, document);
  render_store(out, document.at("store"));
  if (!document.at("config_path").is_null()) {
    fmt::format_to(out, "Registries   files of their own in {}, read at each pull\n",
                   text(document, "config_path"));
  }
  for (const auto& runtime : document.at("runtimes")) {
    fmt::format_to(out, "containerd   pid {}, {}\n", text(runtime, "pid"), text(runtime, "socket"));
    fmt::format_to(out, "  started    {}\n", text(runtime, "started"));
    fmt::format_to(out, "  trust      {}\n", verdict(runtime, document.at("clients")));
  }
  if (document.at("runtimes").empty()) fmt::format_to(out, "containerd   none runs here\n");
  fmt::format_to(out, "Agent        {}\n",
                 document.value("agent_runs", false) ? "runs" : "none answers");
  return rendered;
}

}  // namespace hagring::cli
