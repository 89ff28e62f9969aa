// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/status_document.hpp"

#include <fmt/chrono.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "userspace/agent/setting_value.hpp"
#include "userspace/base/version.hpp"

namespace hagring::agent {
namespace {

using Json = nlohmann::ordered_json;

/// Of the reads under way, as many are shown.
constexpr std::size_t kMostUnderWay = 256;

/// RFC 3339, UTC, milliseconds.
std::string timestamp(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(time - seconds);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)), rest.count());
}

Json listeners(const StatusSources& sources) {
  const auto v6 = sources.listener.endpoint_v6();
  return {{"mirror_v4", write_endpoint(sources.listener.endpoint_v4())},
          {"mirror_v6", v6.port() == 0 ? Json() : Json(write_endpoint(v6))},
          {"peer", write_endpoint(sources.peer_server.endpoint())}};
}

/// By which proxies the client reaches servers, without credentials; null: by none.
Json egress_proxies(const StatusSources& sources) {
  const auto settings = sources.egress.settings();
  const auto problem = sources.egress_keeper.problem();
  const auto& https = settings->https();
  const auto& http = settings->http();
  if (!https && !http && problem.empty()) return {};
  auto addresses = Json::array();
  for (const auto& proxy : sources.egress.proxies()) {
    addresses.push_back(write_endpoint(proxy.endpoint));
  }
  Json all{{"https", https ? Json(https->shown()) : Json()},
           {"http", http ? Json(http->shown()) : Json()},
           {"no_proxy", settings->no_proxy()},
           {"redirected_addresses", std::move(addresses)}};
  if (!problem.empty()) all["problem"] = problem;
  return all;
}

Json clients(const StatusSources& sources) {
  const auto& state = sources.interception.state();
  auto list = Json::array();
  if (state.client) {
    Json entry{{"pid", state.client->pid},
               {"comm", state.client->comm},
               {"socket", sources.store.state().socket},
               {"flavour", sources.store.state().flavour},
               {"cgroup", state.client->cgroup.path},
               {"intercepted", state.attached && !state.problem},
               {"trust", proxy::to_string(sources.trust.state())},
               {"reason", sources.trust.client() ? sources.trust.reason()
                                                 : "it can't be probed yet: spliced"},
               {"egress_proxies", egress_proxies(sources)}};
    if (!sources.restart.empty()) entry["restart"] = sources.restart;
    if (state.problem) entry["problem"] = state.problem.message();
    list.push_back(std::move(entry));
  }
  return list;
}

/// Why nobody is intercepted; null: somebody is there.
Json no_client(const redirect::InterceptionState& state) {
  if (state.client) return {};
  return state.problem ? state.problem.message() : "it is looked for";
}

Json store(const containerd::FollowerState& state) {
  Json entry{{"connected", state.connected}, {"images", state.images},   {"blobs", state.blobs},
             {"socket", state.socket},       {"version", state.version}, {"root", state.root}};
  if (!state.problem.empty()) entry["problem"] = state.problem;
  return entry;
}

Json layers(const StatusSources& sources) {
  const auto state = sources.store.layers();
  Json released;
  for (std::size_t i = 0; i < containerd::kReleases; ++i) {
    released[std::string(containerd::to_string(static_cast<containerd::Release>(i)))] =
        state.released[i];
  }
  Json entry{{"runtime_discards", containerd::to_string(state.finding.discards)},
             {"how", state.finding.how},
             {"mode", sources.layer_limits.mode},
             {"keeping", state.keeping},
             {"images", state.images},
             {"pulling", state.pulling},
             {"bytes", state.bytes},
             {"budget_bytes", sources.layer_limits.budget},
             {"oldest", state.oldest ? Json(timestamp(*state.oldest)) : Json()},
             {"disk_percent", state.disk_percent ? Json(*state.disk_percent) : Json()},
             {"disk_limit_percent", sources.layer_limits.disk_percent},
             {"released", std::move(released)}};
  if (!state.last_released.empty()) entry["last_released"] = state.last_released;
  if (!state.refused.empty()) entry["refused"] = state.refused;
  if (!state.problem.empty()) entry["problem"] = state.problem;
  return entry;
}

long whole_seconds(Duration duration) {
  return static_cast<long>(std::chrono::ceil<std::chrono::seconds>(duration).count());
}

/// Nodes that aren't asked for content now, and why.
Json shunned(const registry::Conduct& conduct) {
  auto list = Json::array();
  for (const auto& ban : conduct.banned()) {
    list.push_back(
        {{"peer", ban.peer},
         {"state", fmt::format("banned for {} s: {}", whole_seconds(ban.remaining), ban.reason)}});
  }
  for (const auto& pause : conduct.paused()) {
    list.push_back({{"peer", pause.peer},
                    {"state", fmt::format("out of reach, asked again in {} s{}{}",
                                          whole_seconds(pause.remaining),
                                          pause.reason.empty() ? "" : ": ", pause.reason)}});
  }
  return list;
}

/// Servers that are down, and those that limit the rate of requests.
Json origins(const StatusSources& sources) {
  auto down = Json::array();
  for (const auto& outage : sources.breaker.outages()) {
    down.push_back({{"server", outage.server.to_string()},
                    {"trouble", registry::to_string(outage.trouble)},
                    {"reason", outage.reason},
                    {"since", timestamp(outage.since)},
                    {"next_probe_seconds",
                     outage.next_probe ? Json(whole_seconds(*outage.next_probe)) : Json()}});
  }
  auto limited = Json::array();
  for (const auto& limit : sources.limits.all()) {
    limited.push_back({{"server", limit.server.to_string()},
                       {"requests", limit.manifests ? "manifests" : "blobs and others"},
                       {"refused", limit.refused},
                       {"counted_for", limit.source},
                       {"remaining_seconds", whole_seconds(limit.remaining)}});
  }
  return {{"down", std::move(down)}, {"limited", std::move(limited)}};
}

Json mesh(const dht::NodeStatus& mesh) {
  auto nodes = Json::array();
  for (const auto& peer : mesh.table) {
    nodes.push_back({{"peer_id", peer.peer_id},
                     {"addresses", peer.addresses},
                     {"connected", peer.connected},
                     {"answered_seconds_ago", whole_seconds(peer.silent)}});
  }
  return {{"peer_id", mesh.peer_id},
          {"closed", mesh.closed},
          {"addresses", mesh.addresses},
          {"nodes", std::move(nodes)},
          {"provided_keys", mesh.provided_keys},
          {"untold_keys", mesh.untold_keys},
          {"records", mesh.records},
          {"record_keys", mesh.record_keys},
          {"connections", mesh.host.connections},
          {"inbound_connections", mesh.host.inbound},
          {"streams", mesh.host.streams},
          {"dialled", mesh.host.dialled},
          {"accepted", mesh.host.accepted},
          {"failed_dials", mesh.host.failed_dials},
          {"failed_handshakes", mesh.host.failed_handshakes},
          {"refused_by_limits", mesh.host.refused}};
}

Json access(const StatusSources& sources) {
  const auto totals = sources.privacy.totals();
  return {{"rules", sources.policy.rules().all().size()},
          {"private_repositories", totals.private_repositories},
          {"public_repositories", totals.public_repositories},
          {"private_digests", totals.marked},
          {"presumed_digests", totals.presumed}};
}

Json content_sources(const registry::PullRecord& record) {
  Json all;
  for (std::size_t i = 0; i < registry::kPullSources; ++i) {
    const auto source = static_cast<registry::PullSource>(i);
    const auto totals = record.totals(source);
    all[std::string(registry::to_string(source))] = {{"requests", totals.requests},
                                                     {"bytes", totals.bytes}};
  }
  return all;
}

/// Null: nothing is shared with other nodes while it comes.
Json herds(const herd::Herds* herds) {
  if (herds == nullptr) return {};
  const auto& counters = herds->counters();
  auto list = Json::array();
  for (const auto& one : herds->shown()) {
    list.push_back({{"digest", one.digest},
                    {"role", one.role},
                    {"size", one.size},
                    {"pieces", one.pieces},
                    {"children", one.children}});
  }
  return {{"now", std::move(list)},
          {"zone", herds->options().zone},
          {"upload_limit", write_rate(herds->options().upload_limit)},
          {"coordinated", herds->coordinated()},
          {"spools", herds->spools().files()},
          {"spool_bytes", herds->spools().bytes()},
          {"finished", herds->finished()},
          {"joined",
           {{"fetch", counters.fetch.load()},
            {"stream", counters.stream.load()},
            {"holder", counters.holder.load()},
            {"limited", counters.limited.load()},
            {"alone", counters.alone.load()}}},
          {"promotions", counters.promotions.load()},
          {"given_up", counters.given_up.load()},
          {"bytes_in", counters.bytes_in.load()},
          {"bytes_out", counters.bytes_out.load()},
          {"children_refused", counters.children_refused.load()}};
}

Json peer_server(const registry::PeerServer& server) {
  const auto& requests = server.requests();
  const auto& connections = server.connections();
  return {{"served", requests.served.load()},
          {"bytes", requests.bytes.load()},
          {"not_found", requests.not_found.load()},
          {"refused", requests.refused.load()},
          {"failed", requests.failed.load()},
          {"connections_open", server.open_connections()},
          {"connections_turned_away", connections.turned_away.load()},
          {"connections_accepted", connections.accepted.load()},
          {"connections_refused", connections.refused.load()}};
}

/// Requests in which a peer was silent for so long that a second one was asked.
Json hedges(const registry::Conduct& conduct) {
  const auto counters = conduct.first_bytes().counters();
  return {{"second_peer_asked", counters.hedges}, {"second_peer_was_first", counters.won}};
}

Json connections(const StatusSources& sources) {
  const auto& sessions = sources.sessions;
  Json all{{"open", sources.listener.connections()},
           {"accepted", sources.listener.counters().accepted.load()},
           {"turned_away", sources.listener.counters().turned_away.load()},
           {"terminated", sessions.terminated.load()},
           {"plain_http", sessions.plain.load()},
           {"probes_passed", sessions.probes_passed.load()},
           {"probes_failed", sessions.probes_failed.load()},
           {"refused_by_client", sessions.refused.load()},
           {"handshake_failed", sessions.handshake_failed.load()},
           {"without_flow", sessions.lost.load()},
           {"left_early", sessions.left_early.load()}};
  for (std::size_t i = 0; i < proxy::kSpliceReasons; ++i) {
    const auto reason = proxy::to_string(static_cast<proxy::SpliceReason>(i));
    all[fmt::format("spliced_{}", reason)] = sessions.spliced[i].load();
  }
  all["splice_dial_failed"] = sessions.dial_failed.load();
  all["spliced_bytes_to_origin"] = sessions.bytes_to_origin.load();
  all["spliced_bytes_to_client"] = sessions.bytes_to_client.load();
  return all;
}

Json names(const dns::Stub& stub) {
  auto servers = Json::array();
  for (const auto& server : stub.servers()) servers.push_back(server.to_string());
  const auto& counters = stub.counters();
  Json invented = Json::object();
  for (std::size_t i = 0; i < dns::kNoAnswers; ++i) {
    if (counters.invented[i] == 0) continue;
    invented[std::string(dns::to_string(static_cast<dns::NoAnswer>(i)))] = counters.invented[i];
  }
  return {{"name_servers", std::move(servers)},
          {"queries", counters.queries},
          {"passed_on", counters.passed_on},
          {"answered_by_us", std::move(invented)},
          {"told_unreachable", counters.told_unreachable},
          {"unanswered", counters.unanswered},
          {"dropped", counters.dropped}};
}

Json kernel(const redirect::Redirector& redirector) {
  Json all;
  for (const auto& counter : redirector.counters()) all[std::string(counter.name)] = counter.value;
  return all;
}

/// With the peers that have sent some of it.
std::string source_of(const registry::Pull& pull) {
  const std::string source(registry::to_string(pull.source));
  return pull.peers.empty() ? source : source + " " + pull.peers;
}

long long milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

/// Reads that are being answered, the oldest first.
Json in_progress(const registry::PullsUnderWay& under_way) {
  auto list = Json::array();
  for (const auto& [pull, first, length, age, rate] : under_way.oldest(kMostUnderWay)) {
    list.push_back({{"kind", registry::to_string(pull.kind)},
                    {"registry", pull.registry},
                    {"repository", pull.repository},
                    {"reference", pull.reference},
                    {"status", pull.status},
                    {"source", source_of(pull)},
                    {"first_byte", first},
                    {"bytes", pull.bytes},
                    {"length", length ? Json(*length) : Json()},
                    {"bytes_per_second", rate ? Json(std::llround(*rate)) : Json()},
                    {"duration_ms", milliseconds(age)},
                    {"client_pid", pull.client}});
  }
  return list;
}

Json recent(const registry::PullRecord& record) {
  auto list = Json::array();
  for (const auto& pull : record.recent()) {
    Json entry{{"time", timestamp(pull.time)},
               {"method", pull.method},
               {"kind", registry::to_string(pull.kind)},
               {"registry", pull.registry},
               {"repository", pull.repository},
               {"reference", pull.reference},
               {"status", pull.status},
               {"source", source_of(pull)},
               {"bytes", pull.bytes},
               {"duration_ms", milliseconds(pull.duration)},
               {"verified", pull.verified},
               {"complete", pull.complete},
               {"client_pid", pull.client}};
    if (!pull.note.empty()) entry["note"] = pull.note;
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace

std::string make_status(const StatusSources& sources) {
  const Json status{
      {"version", kVersion},
      {"pid", ::getpid()},
      {"uptime_seconds", std::chrono::duration_cast<std::chrono::seconds>(sources.uptime).count()},
      {"listeners", listeners(sources)},
      {"clients", clients(sources)},
      {"no_client", no_client(sources.interception.state())},
      {"store", store(sources.store.state())},
      {"layers", layers(sources)},
      {"mesh", mesh(sources.mesh)},
      {"shunned", shunned(sources.conduct)},
      {"access", access(sources)},
      {"origins", origins(sources)},
      {"sources", content_sources(sources.record)},
      {"hedges", hedges(sources.conduct)},
      {"herds", herds(sources.herds)},
      {"peer_server", peer_server(sources.peer_server)},
      {"connections", connections(sources)},
      {"names", names(sources.names)},
      {"kernel", kernel(sources.redirector)},
      {"in_progress", in_progress(sources.under_way)},
      {"recent", recent(sources.record)}};
  // Names from the network may be no UTF-8: shown with replacement characters.
  return status.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace hagring::agent
