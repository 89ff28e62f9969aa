// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/log.hpp"

namespace hagring::agent {

/// Everything that can be set of `hagring agent`, with its defaults.
struct Config {
  // Who is intercepted.
  std::string containerd_socket;  ///< empty: the first of the known places that is there
  std::string containerd_namespace = "k8s.io";
  std::string host_root = "/";  ///< where the host's file system is seen

  // What is mirrored.
  bool default_registries = true;
  std::vector<std::string> registries;
  std::vector<std::string> rules;    ///< registry/rule.hpp, in order
  std::vector<std::string> exclude;  ///< destinations that are never redirected, CIDR

  // Where content comes from and goes to.
  boost::asio::ip::tcp::endpoint peer_listen{boost::asio::ip::tcp::v6(), 5000};
  std::chrono::milliseconds origin_timeout{5000};
  std::chrono::milliseconds origin_patience{1000};
  std::chrono::milliseconds offline_credentials{0};
  std::chrono::milliseconds stall_timeout{10'000};
  std::uint64_t verify_first = 4 << 20;
  std::chrono::milliseconds rescan_interval{300'000};

  // New content that several nodes want at once.
  bool herd = true;
  std::uint64_t herd_spool_bytes = std::uint64_t{4} << 30;
  std::uint64_t herd_small = 256 << 10;
  std::uint64_t herd_upload_limit = 0;  ///< bytes a second; 0: none
  std::string zone;                     ///< empty: all nodes are in one

  // Layers that the runtime throws away once they are unpacked.
  std::string keep_layers = "auto";
  std::uint64_t keep_layers_bytes = std::uint64_t{10} << 30;
  std::chrono::milliseconds keep_layers_age = std::chrono::hours(24 * 7);
  std::uint64_t keep_layers_until = 80;  ///< percent of the image file system

  // Names.
  bool names = true;
  std::chrono::milliseconds name_timeout{2000};

  // The mesh of nodes.
  std::vector<std::string> bootstrap;  ///< read by mesh_options.hpp
  boost::asio::ip::tcp::endpoint dht_listen{boost::asio::ip::tcp::v6(), 5001};
  std::vector<boost::asio::ip::address> advertise;  ///< empty: what the host's interfaces say
  std::vector<std::string> peer_ranges;  ///< where other nodes may be, CIDR; empty: anywhere
  std::string mesh_key_file;             ///< empty: `mesh.key` in state_dir
  bool spegel_compat = false;

  // Where the agent keeps its own things.
  std::string state_dir = "/var/lib/hagring";
  std::string pin_dir = "/sys/fs/bpf/hagring";
  std::string admin_socket = "/run/hagring/hagring.sock";
  bool takeover = false;            ///< replace the agent that holds admin_socket
  bool wait_when_replaced = false;  ///< else end
  bool uninstall_on_exit = false;   ///< at SIGTERM, but not when replaced

  /// Metrics and probes; nullopt: nowhere.
  std::optional<boost::asio::ip::tcp::endpoint> metrics_listen{
      std::in_place, boost::asio::ip::tcp::v6(), std::uint16_t{9090}};

  // Trust.
  bool install_ca = true;
  std::string ca_cert;  ///< empty, as ca_key: the node makes a CA of its own
  std::string ca_key;
  std::string origin_roots;  ///< empty: the host's own

  // Restarting a runtime that is older than the CA.
  std::string restart_runtime = "never";
  std::string restart_unit;  ///< empty: those that are known
  std::chrono::milliseconds restart_delay = std::chrono::minutes(10);

  // The process.
  std::chrono::milliseconds heartbeat_timeout{500};
  std::uint64_t data_threads = 2;
  std::uint64_t max_connections = 4096;
  log::Level log_level = log::Level::info;
  log::Format log_format = log::Format::text;
};

/// One setting: how it is called, read and shown. The flag is `--<name>`, the environment variable
/// `HAGRING_<NAME>` with `_` for `-`, the file's key `<name>`.
struct Setting {
  std::string name;
  std::string placeholder;  ///< of its value, for --help
  std::string help;
  bool list = false;  ///< may be given more than once; separated by commas in the environment
  std::function<void(Config&, const std::vector<std::string>&)> read;
  std::function<std::string(const Config&)> show;
};

/// All settings, in the order of --help.
const std::vector<Setting>& settings();

/// Values as they were written, by setting name.
using Values = std::map<std::string, std::vector<std::string>, std::less<>>;

/// Where settings were written, for people, by setting name: `/etc/hagring.toml, line 3, key
/// 'registry'`.
using Places = std::map<std::string, std::string, std::less<>>;

/// What a configuration file says.
struct ConfigFile {
  Values values;
  Places places;
};

/// Reads a configuration file (TOML: `key = "value"`, `key = ["a", "b"]`).
/// Throws StartError that names file and key: unreadable, malformed, unknown or repeated key.
ConfigFile read_config_file(const std::string& path);

/// Takes HAGRING_* from `environment` (`NAME=value` strings). Throws StartError for a name that is
/// no setting, except the variables that Kubernetes sets for a Service called hagring
/// (`HAGRING_SERVICE_HOST`, `HAGRING_PORT_5000_TCP_ADDR`, …).
Values read_environment(const std::vector<std::string>& environment);

/// A configuration and where each value came from.
struct LoadedConfig {
  Config config;
  std::map<std::string, std::string, std::less<>> origins;  ///< setting → flag, environment, file
  Places places;  ///< of those that aren't default: `--registry`, `HAGRING_REGISTRY`, as in Places
};

/// Joins the sources: flag over environment over file over default.
/// Throws StartError naming the setting and the place of a bad value.
LoadedConfig load_config(const Values& flags, const Values& environment, const ConfigFile& file);

/// `message`, which is about settings by their flags (`--registry`), and where those of them stand
/// that weren't given as flags.
std::string with_places(const LoadedConfig& loaded, const std::string& message);

/// The effective configuration, a line a setting: `name = value  (source)`.
std::string describe(const LoadedConfig& loaded);

}  // namespace hagring::agent
