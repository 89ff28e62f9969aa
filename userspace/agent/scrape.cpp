// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/scrape.hpp"

#include <dirent.h>
#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

#include "userspace/base/version.hpp"

namespace hagring::agent {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<std::pair<std::string, std::string>>;

/// A family that is filled value by value.
class Family {
 public:
  Family(std::string name, std::string help, MetricType type) {
    family_.name = std::move(name);
    family_.help = std::move(help);
    family_.type = type;
  }

  Family& add(double value, const Labels& labels = {}) {
    auto& metric = family_.metric.emplace_back();
    for (const auto& [name, text] : labels) metric.label.push_back({name, text});
    if (family_.type == MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    return *this;
  }

  MetricFamily take() { return std::move(family_); }

 private:
  MetricFamily family_;
};

Family counter(std::string name, std::string help) {
  return {std::move(name), std::move(help), MetricType::Counter};
}

Family gauge(std::string name, std::string help) {
  return {std::move(name), std::move(help), MetricType::Gauge};
}

double number(std::uint64_t value) { return static_cast<double>(value); }

void add_kernel(std::vector<MetricFamily>& all, const redirect::Redirector& redirector) {
  auto connects = counter("hagring_connects_total",
                          "connect() calls that the hook saw, by what became of them.");
  for (const auto& one : redirector.counters()) {
    if (one.name.starts_with("flows_")) continue;
    connects.add(number(one.value), {{"outcome", std::string(one.name)}});
  }
  all.push_back(connects.take());
}

void add_connections(std::vector<MetricFamily>& all, const StatusSources& sources) {
  const auto& sessions = sources.sessions;
  auto ends = counter("hagring_connections_total",
                      "Redirected connections, by what the proxy did with them.")
                  .add(number(sessions.terminated), {{"outcome", "terminated"}})
                  .add(number(sessions.plain), {{"outcome", "plain_http"}})
                  .add(number(sessions.refused), {{"outcome", "refused_by_client"}})
                  .add(number(sessions.handshake_failed), {{"outcome", "handshake_failed"}})
                  .add(number(sessions.lost), {{"outcome", "without_flow"}})
                  .add(number(sessions.left_early), {{"outcome", "left_early"}});
  for (std::size_t i = 0; i < proxy::kSpliceReasons; ++i) {
    const auto reason = proxy::to_string(static_cast<proxy::SpliceReason>(i));
    ends.add(number(sessions.spliced[i]), {{"outcome", fmt::format("spliced_{}", reason)}});
  }
  all.push_back(ends.take());
  all.push_back(gauge("hagring_connections", "Redirected connections that are open.")
                    .add(number(sources.listener.connections()))
                    .take());
  all.push_back(counter("hagring_spliced_bytes_total", "Bytes relayed untouched, by direction.")
                    .add(number(sessions.bytes_to_client), {{"direction", "to_client"}})
                    .add(number(sessions.bytes_to_origin), {{"direction", "to_origin"}})
                    .take());
}

void add_under_way(std::vector<MetricFamily>& all, const registry::PullsUnderWay& under_way) {
  auto reads = gauge("hagring_mirror_requests_in_flight",
                     "Reads of manifests and blobs that are being answered, by who sends; none: "
                     "nobody has answered yet.");
  const auto counts = under_way.counts();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const auto source = to_string(static_cast<registry::PullSource>(i));
    reads.add(number(counts[i]), {{"source", std::string(source)}});
  }
  all.push_back(reads.take());
}

std::string_view label_of(containerd::Release reason) {
  switch (reason) {
    case containerd::Release::over_budget:
      return "over_budget";
    case containerd::Release::too_old:
      return "too_old";
    case containerd::Release::disk_full:
      return "disk_full";
    case containerd::Release::image_gone:
      return "image_gone";
    case containerd::Release::not_wanted:
      break;
  }
  return "not_wanted";
}

/// The leases that keep layers for other nodes.
void add_leases(std::vector<MetricFamily>& all, const StatusSources& sources) {
  const auto layers = sources.store.layers();
  all.push_back(gauge("hagring_leases_images", "Images whose layers are kept by leases.")
                    .add(number(layers.images))
                    .take());
  all.push_back(gauge("hagring_leases_bytes", "Bytes of layers that leases keep.")
                    .add(number(layers.bytes))
                    .take());
  all.push_back(gauge("hagring_leases_budget_bytes", "What --keep-layers-bytes allows them.")
                    .add(number(sources.layer_limits.budget))
                    .take());
  auto released =
      counter("hagring_leases_released_total", "Images whose layers were let go, by why.");
  for (std::size_t i = 0; i < containerd::kReleases; ++i) {
    const auto reason = label_of(static_cast<containerd::Release>(i));
    released.add(number(layers.released[i]), {{"reason", std::string(reason)}});
  }
  all.push_back(released.take());
}

void add_names(std::vector<MetricFamily>& all, const dns::StubCounters& names) {
  auto queries = counter("hagring_name_queries_total",
                         "Queries of the runtime's to its name servers, by what became of them.")
                     .add(number(names.passed_on), {{"outcome", "passed_on"}})
                     .add(number(names.told_unreachable), {{"outcome", "told_unreachable"}})
                     .add(number(names.unanswered), {{"outcome", "unanswered"}})
                     .add(number(names.dropped), {{"outcome", "dropped"}});
  for (std::size_t i = 0; i < dns::kNoAnswers; ++i) {
    const auto reason = dns::to_string(static_cast<dns::NoAnswer>(i));
    queries.add(number(names.invented[i]), {{"outcome", fmt::format("answered_{}", reason)}});
  }
  all.push_back(queries.take());
}

void add_runtime(std::vector<MetricFamily>& all, const StatusSources& sources) {
  const auto& state = sources.interception.state();
  const auto& store = sources.store.state();
  const bool attached = state.client && state.attached && !state.problem;
  all.push_back(gauge("hagring_client_intercepted",
                      "Whether the runtime's connections are led to the mirror.")
                    .add(attached ? 1 : 0)
                    .take());
  all.push_back(gauge("hagring_client_trusted",
                      "Whether the runtime has proven that it trusts this node's CA.")
                    .add(sources.trust.state() == proxy::TrustState::trusted ? 1 : 0)
                    .take());
  all.push_back(gauge("hagring_store_connected", "Whether containerd's content store is followed.")
                    .add(store.connected ? 1 : 0)
                    .take());
  all.push_back(gauge("hagring_store_blobs", "Blobs in containerd's content store.")
                    .add(number(store.blobs))
                    .take());
  all.push_back(
      gauge("hagring_store_images", "Image names in containerd.").add(number(store.images)).take());
}

void add_peers(std::vector<MetricFamily>& all, const StatusSources& sources) {
  const auto& requests = sources.peer_server.requests();
  all.push_back(counter("hagring_peer_requests_total", "Requests of other nodes, by result.")
                    .add(number(requests.served), {{"result", "ok"}})
                    .add(number(requests.not_found), {{"result", "not_found"}})
                    .add(number(requests.refused), {{"result", "refused"}})
                    .add(number(requests.failed), {{"result", "failed"}})
                    .take());
  all.push_back(
      counter("hagring_peer_response_bytes_total", "Bytes of content sent to other nodes.")
          .add(number(requests.bytes))
          .take());
  all.push_back(gauge("hagring_peer_connections", "Connections of other nodes to the peer port.")
                    .add(number(sources.peer_server.open_connections()))
                    .take());
  all.push_back(gauge("hagring_peers_shunned", "Nodes that aren't asked for content now, by why.")
                    .add(number(sources.conduct.banned().size()), {{"reason", "banned"}})
                    .add(number(sources.conduct.paused().size()), {{"reason", "out_of_reach"}})
                    .take());
}

void add_mesh(std::vector<MetricFamily>& all, const dht::NodeStatus& mesh) {
  const auto one = [&](std::string name, std::string help, std::uint64_t value) {
    all.push_back(gauge(std::move(name), std::move(help)).add(number(value)).take());
  };
  one("hagring_dht_routing_table_peers", "Nodes in the routing table.", mesh.table.size());
  one("hagring_dht_provided_keys", "Keys that this node provides.", mesh.provided_keys);
  one("hagring_dht_untold_keys", "Provided keys that no other node has been told of.",
      mesh.untold_keys);
  one("hagring_dht_records", "Provider records kept for the mesh.", mesh.records);
  one("hagring_dht_connections", "Connections of the DHT.", mesh.host.connections);
  all.push_back(counter("hagring_dht_dials_total", "Connections that the DHT has tried, by result.")
                    .add(number(mesh.host.dialled), {{"result", "ok"}})
                    .add(number(mesh.host.failed_dials), {{"result", "failed"}})
                    .take());
}

void add_herds(std::vector<MetricFamily>& all, const herd::Herds* herds) {
  if (herds == nullptr) return;
  const auto& counters = herds->counters();
  all.push_back(counter("hagring_herd_joins_total",
                        "Requests that herds were asked about, by what the client was told.")
                    .add(number(counters.fetch), {{"verdict", "fetch"}})
                    .add(number(counters.stream), {{"verdict", "stream"}})
                    .add(number(counters.holder), {{"verdict", "holder"}})
                    .add(number(counters.limited), {{"verdict", "limited"}})
                    .add(number(counters.alone), {{"verdict", "alone"}})
                    .take());
  all.push_back(counter("hagring_herd_fetches_total", "Orders to ask an origin, by when.")
                    .add(number(counters.fetches - counters.promotions), {{"when", "first"}})
                    .add(number(counters.promotions), {{"when", "in_mid_blob"}})
                    .take());
  all.push_back(counter("hagring_herd_given_up_total", "Herds that this node has left for itself.")
                    .add(number(counters.given_up))
                    .take());
  all.push_back(counter("hagring_herd_bytes_total", "Bytes of pieces from and to other nodes.")
                    .add(number(counters.bytes_in), {{"direction", "in"}})
                    .add(number(counters.bytes_out), {{"direction", "out"}})
                    .take());
  all.push_back(gauge("hagring_herd_spool_bytes", "Size of the blobs that are spooled.")
                    .add(number(herds->spools().bytes()))
                    .take());
  all.push_back(gauge("hagring_herds_coordinated", "Herds that this node coordinates.")
                    .add(number(herds->coordinated()))
                    .take());
}

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double total = 0;
  double resident = 0;
  file >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double open_descriptors() {
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  double count = -3;  // ".", ".." and the folder's own
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

void add_process(std::vector<MetricFamily>& all, Duration uptime) {
  const auto begin = std::chrono::system_clock::now().time_since_epoch() - uptime;
  all.push_back(gauge("hagring_build_info", "The agent's version.")
                    .add(1, {{"version", std::string(kVersion)}})
                    .take());
  all.push_back(gauge("process_start_time_seconds", "When the agent began, since the epoch.")
                    .add(std::chrono::duration<double>(begin).count())
                    .take());
  all.push_back(
      counter("process_cpu_seconds_total", "CPU time of the agent.").add(cpu_seconds()).take());
  all.push_back(gauge("process_resident_memory_bytes", "Resident memory of the agent.")
                    .add(resident_bytes())
                    .take());
  all.push_back(gauge("process_open_fds", "Descriptors that the agent holds.")
                    .add(open_descriptors())
                    .take());
}

}  // namespace

std::vector<MetricFamily> scrape(const StatusSources& sources) {
  std::vector<MetricFamily> all;
  add_kernel(all, sources.redirector);
  add_connections(all, sources);
  add_names(all, sources.names.counters());
  add_under_way(all, sources.under_way);
  add_runtime(all, sources);
  add_leases(all, sources);
  add_peers(all, sources);
  add_mesh(all, sources.mesh);
  add_herds(all, sources.herds);
  add_process(all, sources.uptime);
  return all;
}

}  // namespace hagring::agent
