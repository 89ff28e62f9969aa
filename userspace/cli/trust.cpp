// SPDX-License-Identifier: Apache-2.0
#include "userspace/cli/trust.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "registry/containerd/sockets.hpp"
#include "userspace/agent/hosts_trust.hpp"
#include "userspace/agent/start_options.hpp"
#include "userspace/base/atomic_file.hpp"
#include "userspace/cli/admin_client.hpp"
#include "userspace/proxy/x509_builder.hpp"
#include "userspace/redirect/process.hpp"

namespace hagring::cli {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr int kFailed = 1;
constexpr std::size_t kMaxPem = std::size_t{64} * 1024;

/// RFC 3339, UTC.
std::string timestamp(WallTime time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

/// A certificate that may be trusted or not, and its file.
struct Known {
  fs::path file;
  Certificate certificate;
};

/// The first certificate of a file, of which only that much is read; nothing if it isn't there.
std::optional<Known> certificate_of(const fs::path& file) {
  std::error_code error;
  const auto text = read_small_file(fs::canonical(file, error), kMaxPem);
  if (error || !text) return std::nullopt;
  auto found = proxy::certificates_in(*text);
  if (found.empty()) return std::nullopt;
  return Known{file, std::move(found.front())};
}

/// The CA in use and its successor, whose keys aren't needed here.
std::vector<Known> authorities_of(const agent::Config& config) {
  const fs::path state = config.state_dir;
  std::vector<Known> all;
  for (const auto& file : config.ca_cert.empty()
                              ? std::vector<fs::path>{state / "ca.crt", state / "next.crt"}
                              : std::vector<fs::path>{config.ca_cert}) {
    if (auto known = certificate_of(file)) all.push_back(std::move(*known));
  }
  return all;
}

Json authorities_document(const std::vector<Known>& authorities,
                          const std::vector<Certificate>& installed) {
  auto list = Json::array();
  for (const auto& [file, certificate] : authorities) {
    const auto fingerprint = proxy::fingerprint_of(certificate.get());
    const bool there = std::ranges::any_of(installed, [&](const Certificate& one) {
      return proxy::fingerprint_of(one.get()) == fingerprint;
    });
    list.push_back(
        {{"file", file.string()},
         {"sha256", fingerprint},
         {"not_before", timestamp(proxy::wall_time(X509_get0_notBefore(certificate.get())))},
         {"not_after", timestamp(proxy::wall_time(X509_get0_notAfter(certificate.get())))},
         {"installed", there}});
  }
  return list;
}

Json store_document(const proxy::TrustStore& store, const Result<proxy::InstalledCa>& found) {
  if (!found) {
    return {{"file", store.path()}, {"installed", false}, {"problem", found.error().message()}};
  }
  Json document{{"file", found->path.string()},
                {"installed", found->since.has_value()},
                {"stateless", found->stateless},
                {"regenerated", found->regenerated}};
  if (found->since) document["since"] = timestamp(*found->since);
  return document;
}

/// The runtime's directory of registries, if an agent has put files there.
Json hosts_document(const agent::Config& config) {
  const auto folder = agent::recorded_hosts(config);
  return folder ? Json(folder->directory().string()) : Json();
}

/// Each containerd that runs here, and whether it started before the CA was put where it looks.
Json runtimes_document(const agent::Config& config, std::optional<WallTime> installed) {
  auto sockets = containerd::find_sockets(agent::mounted_root(config));
  if (!config.containerd_socket.empty()) sockets = {{config.containerd_socket, "containerd"}};
  auto list = Json::array();
  for (const auto& socket : sockets) {
    const auto pid = containerd::listener_of(socket.path);
    if (!pid) continue;  // a file that a containerd of former times has left
    Json runtime{{"socket", socket.path}, {"flavour", socket.flavour}, {"pid", *pid}};
    if (const auto ticks = redirect::process_start_time(*pid)) {
      const auto started = redirect::wall_time_of(*ticks);
      runtime["started"] = timestamp(started);
      runtime["started_before_install"] = !installed || started < *installed;
    }
    list.push_back(std::move(runtime));
  }
  return list;
}

/// What the agent has found out, should one run.
Json agent_document(const std::string& socket) {
  const auto reply = ask_agent(socket, "/status", std::chrono::seconds(5));
  if (!reply || reply->status != 200) return nullptr;
  const auto status = Json::parse(reply->document);
  auto clients = Json::array();
  for (const auto& client : status.at("clients")) {
    clients.push_back({{"pid", client.at("pid")},
                       {"trust", client.at("trust")},
                       {"reason", client.at("reason")}});
  }
  return clients;
}

/// Whether the agent has seen `pid` trust the CA.
bool is_proven(const Json& document, const Json& pid) {
  return std::ranges::any_of(document.at("clients"), [&](const Json& client) {
    return client.at("pid") == pid && client.at("trust") == "trusted";
  });
}

bool is_well(const Json& document) {
  const auto& authorities = document.at("authorities");
  const bool installed =
      !authorities.empty() && std::ranges::all_of(authorities, [](const Json& authority) {
        return authority.at("installed").get<bool>();
      });
  // Proof counts for more than times.
  return installed && std::ranges::all_of(document.at("runtimes"), [&](const Json& runtime) {
           return !runtime.value("started_before_install", true) ||
                  is_proven(document, runtime.at("pid"));
         });
}

void say(FILE* where, const std::string& text) { std::fputs((text + "\n").c_str(), where); }

}  // namespace

int install_trust(const agent::Config& config) {
  SystemClock clock;
  const auto policy = agent::make_policy(config);
  const proxy::Authorities authorities(agent::authority_options(config, policy), clock);
  proxy::TrustStore store(agent::trust_store_options(config));
  if (const auto done = store.install(authorities.pem()); !done) {
    say(stderr, fmt::format("hagring: the CA can't be put into {}: {}", store.path(),
                            done.error().message()));
    return kFailed;
  }
  say(stdout,
      fmt::format("{}: CA {}, valid to {}\n"
                  "A containerd that started before this trusts it when it is started again "
                  "(hagring trust status tells).",
                  store.path(), authorities.signing().fingerprint(),
                  timestamp(authorities.signing().not_after())));
  return 0;
}

int remove_trust(const agent::Config& config) {
  proxy::TrustStore store(agent::trust_store_options(config));
  const auto file = store.path();
  if (const auto done = store.remove(); !done) {
    say(stderr, fmt::format("hagring: {} can't be removed: {}", file, done.error().message()));
    return kFailed;
  }
  const auto hosts = agent::remove_recorded_hosts(config);
  if (!hosts) {
    say(stderr, fmt::format("hagring: the files in containerd's config_path can't be removed: {}",
                            hosts.error().message()));
    return kFailed;
  }
  say(stdout, fmt::format("{} is removed, and {} in containerd's config_path. A containerd that "
                          "has read it trusts the CA until it is "
                          "started again; an agent that runs puts the file back, unless it was "
                          "started with --install-ca false. The CA's key stays in {}.",
                          file, *hosts == 1 ? "one file" : fmt::format("{} files", *hosts),
                          config.state_dir));
  return 0;
}

int show_trust(const agent::Config& config, const TrustOptions& options) {
  const proxy::TrustStore store(agent::trust_store_options(config));
  const auto found = store.installed();
  const auto installed = found ? proxy::certificates_in(found->pem) : std::vector<Certificate>();
  Json document{{"given", !config.ca_cert.empty()},
                {"authorities", authorities_document(authorities_of(config), installed)},
                {"store", store_document(store, found)},
                {"config_path", hosts_document(config)},
                {"runtimes", runtimes_document(config, found ? found->since : std::nullopt)}};
  auto clients = agent_document(options.socket);
  document["agent_runs"] = !clients.is_null();
  document["clients"] = clients.is_null() ? Json::array() : std::move(clients);
  const bool well = is_well(document);
  document["ok"] = well;
  const auto text = document.dump(2, ' ', false, Json::error_handler_t::replace);
  std::fputs((options.json ? text + "\n" : render_trust(text)).c_str(), stdout);
  return well ? 0 : kFailed;
}

}  // namespace hagring::cli
