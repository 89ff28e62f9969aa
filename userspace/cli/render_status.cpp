// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

#include "userspace/cli/json_text.hpp"
#include "userspace/cli/status.hpp"

namespace hagring::cli {
namespace {

using Json = nlohmann::json;
using Out = std::back_insert_iterator<std::string>;

std::string size(const Json& object, const char* key) { return size_text(object.value(key, 0.0)); }

void render_egress(Out out, const Json& client) {
  const auto found = client.find("egress_proxies");
  if (found == client.end() || found->is_null()) return;
  const auto& proxies = *found;
  fmt::format_to(
      out, "    by proxy     https {}, http {}; not for {}\n", text(proxies, "https"),
      text(proxies, "http"),
      proxies.value("no_proxy", "").empty() ? "localhost alone" : text(proxies, "no_proxy"));
  if (proxies.contains("problem")) {
    fmt::format_to(out, "                 {}\n", text(proxies, "problem"));
  }
}

void render_clients(Out out, const Json& clients, const std::string& why_none) {
  fmt::format_to(out, "\nClients\n");
  if (clients.empty()) {
    fmt::format_to(out, "  none: {}\n", why_none);
  }
  for (const auto& client : clients) {
    fmt::format_to(out, "  {} pid {}, {}\n", text(client, "comm"), text(client, "pid"),
                   text(client, "socket"));
    fmt::format_to(out, "    cgroup       {}\n", text(client, "cgroup"));
    fmt::format_to(out, "    intercepted  {}{}\n",
                   client.value("intercepted", false) ? "yes" : "no",
                   client.contains("problem") ? ": " + text(client, "problem") : "");
    fmt::format_to(out, "    trust        {}: {}\n", text(client, "trust"), text(client, "reason"));
    if (client.contains("restart")) {
      fmt::format_to(out, "    restart      due: {}\n", text(client, "restart"));
    }
    render_egress(out, client);
  }
}

void render_layers(Out out, const Json& layers) {
  fmt::format_to(out, "\nLayers that containerd would throw away\n");
  fmt::format_to(out, "  it does so   {}: {}\n", text(layers, "runtime_discards"),
                 text(layers, "how"));
  fmt::format_to(out, "  kept         {}: {} of {} images, of at most {}\n",
                 layers.value("keeping", false) ? "yes" : "no", size(layers, "bytes"),
                 text(layers, "images"), size(layers, "budget_bytes"));
  if (layers.contains("oldest") && !layers.at("oldest").is_null()) {
    fmt::format_to(out, "  oldest       pulled {}\n", text(layers, "oldest"));
  }
  fmt::format_to(out, "  disk         {} % used, let go from {} % on\n",
                 text(layers, "disk_percent"), text(layers, "disk_limit_percent"));
  for (const auto& [reason, count] : layers.at("released").items()) {
    if (count != 0) fmt::format_to(out, "  let go       {}: {}\n", count.dump(), reason);
  }
  for (const auto* key : {"last_released", "refused", "problem"}) {
    if (layers.contains(key)) fmt::format_to(out, "  {:<12} {}\n", key, text(layers, key));
  }
}

void render_mesh(Out out, const Json& mesh, const Json& shunned) {
  fmt::format_to(out, "\nMesh ({})\n", mesh.value("closed", false) ? "closed" : "open");
  fmt::format_to(out, "  this node    {}\n", text(mesh, "peer_id"));
  fmt::format_to(out, "  reached at   {}\n",
                 fmt::join(mesh.at("addresses").get<std::vector<std::string>>(), " "));
  fmt::format_to(out, "  provides     {} keys, of which {} are yet to be told\n",
                 text(mesh, "provided_keys"), text(mesh, "untold_keys"));
  fmt::format_to(out, "  keeps        {} records of {} keys for others\n", text(mesh, "records"),
                 text(mesh, "record_keys"));
  fmt::format_to(out, "  knows        {} nodes\n", mesh.at("nodes").size());
  for (const auto& node : mesh.at("nodes")) {
    fmt::format_to(out, "    {}  {}  {}answered {} s ago\n", text(node, "peer_id"),
                   fmt::join(node.at("addresses").get<std::vector<std::string>>(), " "),
                   node.value("connected", false) ? "connected, " : "",
                   text(node, "answered_seconds_ago"));
  }
  for (const auto& peer : shunned) {
    fmt::format_to(out, "  not asked    {}: {}\n", text(peer, "peer"), text(peer, "state"));
  }
}

/// What is shared with other nodes while it comes; nothing where that is switched off.
void render_herds(Out out, const Json& status) {
  if (!status.contains("herds") || status.at("herds").is_null()) return;
  const auto& herds = status.at("herds");
  fmt::format_to(out, "\nHerds\n  {} now, {} coordinated here; {} spools of {}\n",
                 herds.at("now").size(), text(herds, "coordinated"), text(herds, "spools"),
                 size(herds, "spool_bytes"));
  fmt::format_to(out, "  pieces of {} from other nodes, {} to them\n", size(herds, "bytes_in"),
                 size(herds, "bytes_out"));
  const auto zone = herds.value("zone", "");
  const auto limit = herds.value("upload_limit", "unlimited");
  if (!zone.empty()) fmt::format_to(out, "  zone {}\n", zone);
  if (limit != "unlimited") fmt::format_to(out, "  at most {} to other nodes\n", limit);
  for (const auto& herd : herds.at("now")) {
    fmt::format_to(out, "    {}  {}, {} pieces of {}, {} children\n", text(herd, "digest"),
                   text(herd, "role"), text(herd, "pieces"), size(herd, "size"),
                   text(herd, "children"));
  }
}

/// Servers that are down or limit us; nothing when all are well.
void render_origins(Out out, const Json& origins) {
  const auto& down = origins.at("down");
  const auto& limited = origins.at("limited");
  if (down.empty() && limited.empty()) return;
  fmt::format_to(out, "\nOrigins\n");
  for (const auto& server : down) {
    fmt::format_to(out, "  {} {} since {}: {}; {}\n", text(server, "server"),
                   text(server, "trouble"), text(server, "since"), text(server, "reason"),
                   server.at("next_probe_seconds").is_null()
                       ? "the next request tries it"
                       : "probed again in " + text(server, "next_probe_seconds") + " s");
  }
  for (const auto& limit : limited) {
    fmt::format_to(out, "  {} {} {} for {} s{}{}\n", text(limit, "server"),
                   limit.value("refused", true) ? "refuses" : "has no more",
                   text(limit, "requests"), text(limit, "remaining_seconds"),
                   limit.value("counted_for", "").empty() ? "" : ", counted for ",
                   limit.value("counted_for", ""));
  }
}

void render_names(Out out, const Json& names) {
  std::vector<std::string> reasons;
  std::uint64_t answered = 0;
  for (const auto& [reason, count] : names.at("answered_by_us").items()) {
    reasons.push_back(fmt::format("{} {}", count.dump(), reason));
    answered += count.get<std::uint64_t>();
  }
  const auto servers = names.at("name_servers").get<std::vector<std::string>>();
  fmt::format_to(out,
                 "\nNames\n  asked        {}\n  {} queries: {} answers passed on, {} of our own{}, "
                 "{} told unreachable, {} unanswered, {} dropped\n",
                 servers.empty() ? "directly" : fmt::format("{}", fmt::join(servers, " ")),
                 text(names, "queries"), text(names, "passed_on"), answered,
                 reasons.empty() ? "" : fmt::format(" ({})", fmt::join(reasons, ", ")),
                 text(names, "told_unreachable"), text(names, "unanswered"),
                 text(names, "dropped"));
}

void render_counters(Out out, const std::string& title, const Json& counters) {
  fmt::format_to(out, "\n{}\n", title);
  for (const auto& [name, value] : counters.items()) {
    fmt::format_to(out, "  {:<28} {}\n", name, value.dump());
  }
}

void render_sources(Out out, const Json& sources) {
  fmt::format_to(out, "\nContent by source\n  {:<12} {:>10} {:>12}\n", "source", "requests",
                 "bytes");
  for (const auto& [name, source] : sources.items()) {
    fmt::format_to(out, "  {:<12} {:>10} {:>12}\n", name, text(source, "requests"),
                   size(source, "bytes"));
  }
}

void render_recent(Out out, const Json& recent) {
  fmt::format_to(out, "\nRecent requests, newest first\n");
  if (recent.empty()) fmt::format_to(out, "  none yet\n");
  for (const auto& pull : recent) fmt::format_to(out, "  {}\n", recent_line(pull));
}

}  // namespace

std::string render_status(const std::string& json) {
  const auto status = Json::parse(json);
  std::string rendered;
  Out out(rendered);
  fmt::format_to(out, "hagring {}, pid {}, up {} s\n", text(status, "version"), text(status, "pid"),
                 text(status, "uptime_seconds"));
  const auto& listeners = status.at("listeners");
  fmt::format_to(out, "mirror {} and {}, peers served at {}\n", text(listeners, "mirror_v4"),
                 text(listeners, "mirror_v6"), text(listeners, "peer"));
  render_clients(out, status.at("clients"), text(status, "no_client"));
  fmt::format_to(
      out, "\nStore\n  {} images, {} blobs{}\n", text(status.at("store"), "images"),
      text(status.at("store"), "blobs"),
      status.at("store").contains("problem") ? ", " + text(status.at("store"), "problem") : "");
  render_layers(out, status.at("layers"));
  render_mesh(out, status.at("mesh"), status.at("shunned"));
  render_herds(out, status);
  const auto& access = status.at("access");
  fmt::format_to(out,
                 "\nAccess\n  {} rules; {} repositories known as private, {} as public; {} "
                 "digests marked private, {} presumed private until their registry is asked\n",
                 text(access, "rules"), text(access, "private_repositories"),
                 text(access, "public_repositories"), text(access, "private_digests"),
                 text(access, "presumed_digests"));
  render_origins(out, status.at("origins"));
  render_names(out, status.at("names"));
  render_sources(out, status.at("sources"));
  render_counters(out, "Peers that were slow to answer", status.at("hedges"));
  render_counters(out, "Served to peers", status.at("peer_server"));
  render_counters(out, "Connections that reached the mirror", status.at("connections"));
  render_counters(out, "Connects seen by the kernel", status.at("kernel"));
  render_recent(out, status.at("recent"));
  return rendered;
}

}  // namespace hagring::cli
