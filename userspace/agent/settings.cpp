// SPDX-License-Identifier: Apache-2.0
// The table of settings.
#include "userspace/agent/config.hpp"
#include "userspace/agent/setting_builders.hpp"
#include "userspace/base/result.hpp"

namespace hagring::agent {
namespace {

std::string as_is(const std::string& text) {
  if (text.empty() || text.find_first_of(" \t\r\n") != std::string::npos) {
    throw StartError(fmt::format("'{}' is empty or has white space in it", text));
  }
  return text;
}

/// A rule has white space between its words; what they mean is for registry::Rule.
std::string read_rule(const std::string& text) {
  if (text.find('=') == std::string::npos) {
    throw StartError(fmt::format(
        "'{}' is no rule, a pattern and what it sets, as 'ghcr.io/** tags=peers-first' is", text));
  }
  return text;
}

std::string show_rule(const std::string& text) { return "'" + text + "'"; }

/// The longest that credentials may be good for without the registry's word.
constexpr std::chrono::hours kLongestOffline{7 * 24};

log::Level read_level(const std::string& text) {
  if (const auto level = log::level_named(text)) return *level;
  throw StartError(fmt::format("'{}' is not a level: trace, debug, info, warning or error", text));
}

log::Format read_format(const std::string& text) {
  if (text == "text") return log::Format::text;
  if (text == "json") return log::Format::json;
  throw StartError(fmt::format("'{}' is neither text nor json", text));
}

using Endpoint = boost::asio::ip::tcp::endpoint;

std::optional<Endpoint> read_optional_endpoint(const std::string& text) {
  if (text == "off") return std::nullopt;
  return read_endpoint(text);
}

std::string write_optional_endpoint(const std::optional<Endpoint>& endpoint) {
  return endpoint ? write_endpoint(*endpoint) : "off";
}
std::string read_keep_layers(const std::string& text) {
  if (text == "auto" || text == "always" || text == "never") return text;
  throw StartError(fmt::format("'{}' is not auto, always or never", text));
}

std::string read_restart_runtime(const std::string& text) {
  if (text == "never" || text == "once") return text;
  throw StartError(fmt::format("'{}' is neither never nor once", text));
}

std::string read_unit(const std::string& text) {
  if (as_is(text).ends_with(".service") && text.find('/') == std::string::npos) return text;
  throw StartError(fmt::format("'{}' is no service's name, as containerd.service is", text));
}

/// Shorter, layers would go while pulls that share them are under way.
constexpr std::chrono::minutes kBriefestAge{1};
constexpr std::chrono::hours kLongestAge{24 * 365};

/// Of times that are waited for others: shorter than a round trip nobody can be met.
constexpr std::chrono::milliseconds kBriefest{100};
/// A scan lists all of containerd's content: one after the other would keep it busy with that
/// alone.
constexpr std::chrono::seconds kBriefestRescan{1};
/// A heart that beats every 75 ms (proxy::Heartbeat) on a busy machine: two beats may be missed.
constexpr std::chrono::milliseconds kBriefestHeartbeat{250};

std::vector<Setting> client_settings() {
  return {
      path("containerd-socket",
           "containerd's socket; without it the first that is there of K3s' and RKE2's, K0s', "
           "MicroK8s' and containerd's own",
           &Config::containerd_socket),
      single("containerd-namespace", "NAME", "containerd namespace whose content is served",
             &Config::containerd_namespace, read_identifier, as_is),
      path("host-root", "where the host's file system is seen, for an agent in a container",
           &Config::host_root),
      toggle("default-registries", "mirror the well-known public registries",
             &Config::default_registries),
      list(
          "registry", "HOST[:PORT]",
          "mirror this registry too; http://HOST:PORT for one without TLS; a label may be *, as in "
          "*.example.com",
          &Config::registries, as_is, as_is),
      list("rule", "RULE",
           "'PATTERN key=value…': how images are read whose registry/repository, …:tag or …@digest "
           "the pattern describes, with * for any text within a part of the path and ** for any; "
           "keys: tags=origin-first|peers-first|peers-only, authorize=auto|open|strict, "
           "mirror=yes|no; each key is decided by the first rule that sets it; `hagring explain` "
           "shows by which",
           &Config::rules, read_rule, show_rule),
      list("exclude", "CIDR", "never redirect connections to these addresses", &Config::exclude,
           as_is, as_is),
  };
}

std::vector<Setting> content_settings() {
  return {
      single("peer-listen", "ADDRESS:PORT",
             "where the peer server listens; the port is the same on all nodes of a mesh",
             &Config::peer_listen, read_endpoint, write_endpoint),
      duration("origin-timeout",
               "how long an origin may take to begin its answer before peers are asked for a tag",
               &Config::origin_timeout, kBriefest),
      duration("origin-patience",
               "of origin-timeout, how long a slow origin is waited for when peers know the tag",
               &Config::origin_patience, std::chrono::milliseconds(0)),
      single(
          "offline-credentials", "TIME",
          "while an origin can't be asked, credentials that it has accepted for a repository "
          "within this time are still good for private content of it; 0s: none are; for Basic "
          "credentials: Bearer tokens change with each pull",
          &Config::offline_credentials,
          [](const std::string& text) {
            return read_duration(text, std::chrono::milliseconds(0), kLongestOffline);
          },
          write_duration),
      duration("stall-timeout",
               "how long a source, the origin too, may send nothing in the middle of a body before "
               "another takes over",
               &Config::stall_timeout, kBriefest),
      single("verify-first", "SIZE",
             "blobs from peers up to this size are verified before their first byte is passed on",
             &Config::verify_first, read_size, write_size),
      toggle("names",
             "answer containerd when none of its name servers can tell the address of a mirrored "
             "registry, so that peers are asked all the same; what servers answer is passed on",
             &Config::names),
      duration("name-timeout",
               "how long name servers may take to tell a mirrored registry's address; at most 60 % "
               "of the time-out in containerd's resolv.conf",
               &Config::name_timeout, kBriefest),
      duration("rescan-interval",
               "how often containerd's store is listed anew (its garbage collector tells nobody)",
               &Config::rescan_interval, kBriefestRescan),
  };
}

/// 1 Mbit/s. Less would starve the nodes that this one feeds: `--herd false` says so openly.
constexpr std::uint64_t kLeastUpload = 125'000;

std::vector<Setting> herd_settings() {
  return {
      toggle("herd",
             "nodes that want the same new content at once fetch it from the registry once, and "
             "pass it on while it comes; in a closed mesh only",
             &Config::herd),
      single("herd-spool-bytes", "SIZE",
             "content on its way to other nodes is kept in unlinked files in --state-dir, no more "
             "than this at a time; 0 keeps none: every node then fetches for itself",
             &Config::herd_spool_bytes, read_size, write_size),
      single("herd-small", "SIZE",
             "blobs up to this size, and manifests, are passed on when they are whole",
             &Config::herd_small, read_size, write_size),
      single(
          "herd-upload-limit", "RATE",
          "send no more than this to other nodes of content that is still on its way, all of them "
          "together: 100Mbit/s, 12MiB/s, or unlimited; what is complete here is served without it",
          &Config::herd_upload_limit,
          [](const std::string& text) { return read_rate(text, kLeastUpload); }, write_rate),
      single("zone", "NAME",
             "the node's zone: new content is fetched once by each zone, and none of it crosses "
             "from one to another while it comes; empty: there are no zones",
             &Config::zone, read_zone,
             [](const std::string& text) { return text.empty() ? "none" : text; }),
  };
}

std::vector<Setting> layer_settings() {
  return {
      single("keep-layers", "WHEN",
             "keep the layers of pulled images for other nodes: auto (where containerd throws them "
             "away, discard_unpacked_layers), always or never",
             &Config::keep_layers, read_keep_layers, as_is),
      single("keep-layers-bytes", "SIZE",
             "keep this much of them, those served longest ago go first; 0 keeps none",
             &Config::keep_layers_bytes, read_size, write_size),
      duration("keep-layers-age", "keep them so long after their image was last pulled",
               &Config::keep_layers_age, kBriefestAge, kLongestAge),
      count("keep-layers-until",
            "let go of them when the image file system is so full, in percent; kubelet deletes "
            "images from 85 on",
            &Config::keep_layers_until, 1, 100),
  };
}

std::vector<Setting> mesh_settings() {
  return {
      list("bootstrap", "WHERE",
           "where other nodes of the mesh are found: ADDRESS[:PORT], a DNS NAME[:PORT] all of "
           "whose addresses are nodes, a multiaddr, or http://… that answers as Spegel's HTTP "
           "bootstrap; the port is 5001 unless given",
           &Config::bootstrap, as_is, as_is),
      single("dht-listen", "ADDRESS:PORT", "where the DHT listens", &Config::dht_listen,
             read_endpoint, write_endpoint),
      list("advertise", "ADDRESS",
           "where other nodes reach this one, instead of the addresses that its interfaces have",
           &Config::advertise, read_address,
           [](const boost::asio::ip::address& address) { return address.to_string(); }),
      list("peer-range", "CIDR",
           "connect to nodes in these ranges only; loopback, link-local and multicast addresses "
           "stay out unless a range within them is named; without it any others",
           &Config::peer_ranges, as_is, as_is),
      path("mesh-key-file",
           "the mesh's key, the same on all nodes (a swarm.key file, or 64 hexadecimal digits); "
           "without it mesh.key in --state-dir, which is made where there is none",
           &Config::mesh_key_file),
      toggle("spegel-compat",
             "join a mesh of Spegel's nodes: no mesh key, content over plain HTTP, and whoever "
             "reaches ports 5000 and 5001 is a member",
             &Config::spegel_compat),
  };
}

std::vector<Setting> restart_settings() {
  return {
      single("restart-runtime", "never|once",
             "a containerd that was started before the node's certificate authority was there, and "
             "so doesn't trust it, is restarted through systemd: once since the machine started at "
             "the most, when it pulls nothing",
             &Config::restart_runtime, read_restart_runtime, as_is),
      single("restart-unit", "UNIT",
             "the unit to restart where it isn't containerd's, an agent's of K3s or RKE2, or "
             "MicroK8s'; a server's of K3s or RKE2 must be named",
             &Config::restart_unit, read_unit,
             [](const std::string& text) { return text.empty() ? "auto" : text; }),
      duration("restart-delay",
               "each node waits a random time up to this before it restarts, so that not all do at "
               "once; two may all the same",
               &Config::restart_delay, std::chrono::milliseconds(0)),
  };
}

std::vector<Setting> process_settings() {
  return {
      path("state-dir", "where the node's certificate authority is kept", &Config::state_dir),
      path("pin-dir", "where the BPF maps are pinned", &Config::pin_dir),
      path("admin-socket", "Unix socket that `hagring status` asks", &Config::admin_socket),
      toggle("takeover",
             "take the place of the agent that runs here, without a moment in between; the other "
             "one lets its streams end",
             &Config::takeover),
      toggle("wait-when-replaced",
             "when another agent has taken this one's place, wait for SIGTERM instead of ending: "
             "for supervisors that would start it again",
             &Config::wait_when_replaced),
      toggle(
          "uninstall-on-exit",
          "at SIGTERM, when streams have ended, remove all that hagring has left on this node, as "
          "`hagring uninstall` does; not when another agent has taken this one's place",
          &Config::uninstall_on_exit),
      single("metrics-listen", "ADDRESS:PORT|off",
             "where Prometheus' /metrics and the probes /livez and /readyz are answered",
             &Config::metrics_listen, read_optional_endpoint, write_optional_endpoint),
      toggle("install-ca",
             "put the node's certificate authority into the host's trusted certificates; without "
             "it TLS connections are passed through untouched unless containerd trusts it anyway",
             &Config::install_ca),
      path("ca-cert",
           "PEM file of a certificate authority to use instead of the node's own, from a Secret "
           "say, limited to the mirrored registries by name constraints; its chain may follow in "
           "it",
           &Config::ca_cert),
      path("ca-key", "the key of --ca-cert; only its owner and group may read it", &Config::ca_key),
      path("origin-roots", "PEM file that origins are verified against instead of the host's roots",
           &Config::origin_roots),
      duration("heartbeat-timeout",
               "the kernel stops redirecting when the agent has been silent this long",
               &Config::heartbeat_timeout, kBriefestHeartbeat),
      count("data-threads", "threads that carry connections", &Config::data_threads, 1, 64),
      count("max-connections", "connections carried at once", &Config::max_connections, 16, 65536),
      single("log-level", "LEVEL", "trace, debug, info, warning or error", &Config::log_level,
             read_level, log::to_string),
      single("log-format", "FORMAT", "text or json", &Config::log_format, read_format,
             [](log::Format format) { return format == log::Format::json ? "json" : "text"; }),
  };
}

}  // namespace

const std::vector<Setting>& settings() {
  static const std::vector<Setting> all = [] {
    auto joined = client_settings();
    for (auto part : {content_settings(), herd_settings(), layer_settings(), mesh_settings(),
                      restart_settings(), process_settings()}) {
      joined.insert(joined.end(), part.begin(), part.end());
    }
    return joined;
  }();
  return all;
}

}  // namespace hagring::agent
