// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/redirector.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

#include "redirect.skel.h"
#include "userspace/redirect/abi_address.hpp"
#include "userspace/redirect/error.hpp"
#include "userspace/redirect/fd_keeper.hpp"
#include "userspace/redirect/flow_table.hpp"
#include "userspace/redirect/hook_object.hpp"
#include "userspace/redirect/pins.hpp"
#include "userspace/redirect/privileges.hpp"
#include "userspace/redirect/socket_address.hpp"

namespace hagring::redirect {
namespace {

constexpr __u32 kOnlyEntry = 0;

abi::rule_key key_of(const Rule& rule) {
  abi::rule_key key{};
  const bool v4 = rule.destinations.address.is_v4();
  const unsigned family_and_port = 8 * (sizeof(key.family) + sizeof(key.port));
  key.matched_bits = family_and_port + rule.destinations.length + (v4 ? 96 : 0);
  key.family = v4 ? abi::ipv4 : abi::ipv6;
  key.port = rule.port;
  key.address = to_abi(rule.destinations.address);
  return key;
}

abi::rule value_of(const Rule& rule) {
  abi::rule value{};
  set_text(value.destination, to_string(rule.destinations));
  value.port = rule.port;
  value.prefix_bits = rule.destinations.length;
  value.action = rule.action == Rule::Action::redirect ? abi::redirect : abi::leave;
  return value;
}

/// The listener's address, after marking it as the mirror's own.
Result<asio::ip::tcp::endpoint> mark_listener(int tokens_fd, int listener_fd) {
  TRY(const auto endpoint, local_endpoint(listener_fd));
  if (endpoint.address().is_unspecified() || endpoint.port() == 0) return Errc::not_loopback;
  const abi::listener_token token{endpoint.port()};
  if (::bpf_map_update_elem(tokens_fd, &listener_fd, &token, BPF_ANY) != 0) {
    return last_system_error();
  }
  return endpoint;
}

/// Whether two addresses may stand in one entry of `name_servers`.
bool same_family(const asio::ip::address& a, const asio::ip::address& b) {
  return a.is_v4() == b.is_v4();
}

/// connect last: a connection that is redirected is also recorded and shown as it should be. When
/// the process is killed the newest descriptor is closed first, which makes connect4 the first to
/// go; each detachment costs tens of microseconds.
std::vector<Attachment::Program> programs_of(const redirect_bpf& object) {
  const auto& programs = object.progs;
  return {{bpf_program__fd(programs.hagring_sockops), BPF_CGROUP_SOCK_OPS},
          {bpf_program__fd(programs.hagring_getpeername4), BPF_CGROUP_INET4_GETPEERNAME},
          {bpf_program__fd(programs.hagring_getpeername6), BPF_CGROUP_INET6_GETPEERNAME},
          {bpf_program__fd(programs.hagring_recvmsg4), BPF_CGROUP_UDP4_RECVMSG},
          {bpf_program__fd(programs.hagring_recvmsg6), BPF_CGROUP_UDP6_RECVMSG},
          {bpf_program__fd(programs.hagring_sendmsg4), BPF_CGROUP_UDP4_SENDMSG},
          {bpf_program__fd(programs.hagring_sendmsg6), BPF_CGROUP_UDP6_SENDMSG},
          {bpf_program__fd(programs.hagring_connect6), BPF_CGROUP_INET6_CONNECT},
          {bpf_program__fd(programs.hagring_connect4), BPF_CGROUP_INET4_CONNECT}};
}

std::vector<int> descriptors_of(const std::vector<Attachment::Program>& programs) {
  std::vector<int> fds;
  for (const auto& program : programs) fds.push_back(program.fd);
  return fds;
}

void store_port(__u32& port, std::uint16_t value) {
  std::atomic_ref<__u32>(port).store(value, std::memory_order_release);
}

#define HAGRING_COUNTER(field) {#field, offsetof(abi::counters, field)}
constexpr struct {
  std::string_view name;
  std::size_t offset;
} kCounters[] = {
    HAGRING_COUNTER(redirected),
    HAGRING_COUNTER(names_redirected),
    HAGRING_COUNTER(passed_not_tcp),
    HAGRING_COUNTER(passed_other_name_server),
    HAGRING_COUNTER(passed_loopback),
    HAGRING_COUNTER(passed_no_rule),
    HAGRING_COUNTER(passed_rule_says_leave),
    HAGRING_COUNTER(passed_other_process),
    HAGRING_COUNTER(passed_bound_device),
    HAGRING_COUNTER(passed_stale_heartbeat),
    HAGRING_COUNTER(passed_no_listener),
    HAGRING_COUNTER(passed_foreign_listener),
    HAGRING_COUNTER(passed_no_memory),
    HAGRING_COUNTER(flows_recorded),
    HAGRING_COUNTER(flows_not_recorded),
};
#undef HAGRING_COUNTER
static_assert(std::size(kCounters) * sizeof(__u64) == sizeof(abi::counters));

}  // namespace

struct Redirector::State {
  explicit State(const RedirectorOptions& options)
      : object(load_hook_object(options.max_flows, can_ask_netns_cookie())),
        config(bpf_map__fd(object->maps.config)),
        flows(bpf_map__fd(object->maps.flows), options.max_flows, can_ask_netns_cookie()),
        keeper(descriptors_of(programs_of(*object))) {}

  int fd(const bpf_map* map) const { return bpf_map__fd(map); }
  Result<void> set_rule(const Rule& rule) const;

  HookObject object;
  MappedConfig config;
  FlowTable flows;
  FdKeeper keeper;
  std::optional<Pins> pins;
};

Redirector::Redirector(RedirectorOptions options, Load load_when)
    : loading_(std::async(load_when == Load::beside ? std::launch::async : std::launch::deferred,
                          [options = std::move(options)] { return load(options); })) {
  if (load_when == Load::at_once) finish_loading();
}

Redirector::~Redirector() = default;

void Redirector::finish_loading() { state_ = loading_.get(); }

std::unique_ptr<Redirector::State> Redirector::load(const RedirectorOptions& options) {
  require_bpf_capabilities();
  auto state = std::make_unique<State>(options);
  state->config->heartbeat_timeout_ns =
      static_cast<__u64>(std::chrono::nanoseconds(options.heartbeat_timeout).count());
  state->config->agent_pid = static_cast<__u32>(::getpid());
  for (const auto& rule : options.rules) {
    if (const auto set = state->set_rule(rule); !set) {
      throw StartError("the rule for " + to_string(rule.destinations) +
                       " could not be set: " + set.error().message());
    }
  }
  if (options.pin_directory.empty()) return state;
  std::vector<Pins::Map> pinned;
  for (const auto name : kPinnedMaps) {
    pinned.push_back({name, bpf_object__find_map_fd_by_name(state->object->obj, name.data())});
  }
  state->pins.emplace(options.pin_directory, std::move(pinned));
  return state;
}

Result<void> Redirector::set_listeners(int v4_fd, int v6_fd) {
  const int tokens = state_->fd(state_->object->maps.listeners);
  asio::ip::tcp::endpoint v4;
  asio::ip::tcp::endpoint v6;
  if (v4_fd >= 0) {
    TRY(v4, mark_listener(tokens, v4_fd));
    if (!v4.address().is_v4()) return Errc::not_loopback;
  }
  if (v6_fd >= 0) {
    TRY(v6, mark_listener(tokens, v6_fd));
    if (!v6.address().is_v6()) return Errc::not_loopback;
  }
  // The ports go last: an address that is read half-written finds no listener with our token.
  auto& config = state_->config;
  store_port(config->mirror_ipv4_port, 0);
  store_port(config->mirror_ipv6_port, 0);
  if (v4_fd >= 0) {
    set_text(config->mirror_ipv4, v4.address().to_string());
    config->mirror_ipv4_binary = to_abi(v4.address()).words[3];
    store_port(config->mirror_ipv4_port, v4.port());
  }
  if (v6_fd >= 0) {
    set_text(config->mirror_ipv6, v6.address().to_string());
    config->mirror_ipv6_binary = to_abi(v6.address());
    store_port(config->mirror_ipv6_port, v6.port());
  }
  return Result<void>();
}

Result<Attachment> Redirector::attach(const std::string& cgroup_path) {
  return Attachment::make(state_->keeper, cgroup_path, programs_of(*state_->object));
}

Result<void> Redirector::set_client(const Client& client) {
  abi::client value{};
  set_text(value.comm, client.comm);
  value.policy = client.redirected ? abi::redirected : abi::left_alone;
  value.pid = client.pid;
  value.cgroup_id = client.cgroup_id;
  std::string_view cgroup = client.cgroup;
  if (cgroup.size() >= sizeof(value.cgroup)) {
    cgroup.remove_prefix(cgroup.size() - sizeof(value.cgroup) + 1);
  }
  set_text(value.cgroup, cgroup);
  if (::bpf_map_update_elem(state_->fd(state_->object->maps.clients), &client.tgid, &value,
                            BPF_ANY) != 0) {
    return last_system_error();
  }
  return Result<void>();
}

void Redirector::remove_client(std::uint32_t tgid) {
  ::bpf_map_delete_elem(state_->fd(state_->object->maps.clients), &tgid);
}

Result<void> Redirector::State::set_rule(const Rule& rule) const {
  const auto key = key_of(rule);
  const auto value = value_of(rule);
  if (::bpf_map_update_elem(fd(object->maps.rules), &key, &value, BPF_ANY) != 0) {
    return last_system_error();
  }
  return Result<void>();
}

Result<void> Redirector::set_rule(const Rule& rule) { return state_->set_rule(rule); }

void Redirector::remove_rule(const Rule& rule) {
  const auto key = key_of(rule);
  ::bpf_map_delete_elem(state_->fd(state_->object->maps.rules), &key);
}

Result<void> Redirector::set_name_server(const asio::ip::address& server, int udp_fd, int tcp_fd) {
  const auto address = unmapped(server);
  const int tokens = state_->fd(state_->object->maps.listeners);
  TRY(const auto udp, mark_listener(tokens, udp_fd));
  TRY(const auto tcp, mark_listener(tokens, tcp_fd));
  if (udp.address() != tcp.address() || !same_family(udp.address(), address)) {
    return Errc::not_loopback;
  }
  remove_name_server(address);
  const auto key = to_abi(address);
  abi::name_server value{};
  set_text(value.name_server, address.to_string());
  set_text(value.stub, udp.address().to_string());
  value.stub_udp_port = udp.port();
  value.stub_tcp_port = tcp.port();
  value.stub_binary = to_abi(udp.address());
  // Replies go by the server's name before the first query is led to the stub.
  const abi::stub_place place{value.stub_binary, value.stub_udp_port};
  const auto& maps = state_->object->maps;
  if (::bpf_map_update_elem(state_->fd(maps.stub_places), &place, &key, BPF_ANY) != 0 ||
      ::bpf_map_update_elem(state_->fd(maps.name_servers), &key, &value, BPF_ANY) != 0) {
    return last_system_error();
  }
  return Result<void>();
}

void Redirector::remove_name_server(const asio::ip::address& server) {
  const auto key = to_abi(unmapped(server));
  const auto& maps = state_->object->maps;
  abi::name_server value{};
  if (::bpf_map_lookup_elem(state_->fd(maps.name_servers), &key, &value) != 0) return;
  ::bpf_map_delete_elem(state_->fd(maps.name_servers), &key);
  const abi::stub_place place{value.stub_binary, value.stub_udp_port};
  ::bpf_map_delete_elem(state_->fd(maps.stub_places), &place);
}

void Redirector::beat() noexcept {
  // CLOCK_MONOTONIC, as bpf_ktime_get_ns().
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  std::atomic_ref<__u64>(state_->config->heartbeat_monotonic_ns)
      .store(static_cast<__u64>(std::chrono::nanoseconds(now).count()), std::memory_order_relaxed);
}

void Redirector::pause() noexcept {
  std::atomic_ref<__u64>(state_->config->heartbeat_monotonic_ns)
      .store(0, std::memory_order_relaxed);
}

Result<Flow> Redirector::find_flow(int accepted_fd) const {
  return state_->flows.find(accepted_fd);
}

std::vector<Flow> Redirector::recent_flows(std::size_t most) const {
  return state_->flows.recent(most);
}

std::vector<Counter> Redirector::counters() const {
  const int cpus = libbpf_num_possible_cpus();
  std::vector<Counter> sums;
  for (const auto& counter : kCounters) sums.push_back({counter.name});
  if (cpus <= 0) return sums;
  std::vector<abi::counters> per_cpu(static_cast<std::size_t>(cpus));
  if (::bpf_map_lookup_elem(state_->fd(state_->object->maps.counters), &kOnlyEntry,
                            per_cpu.data()) != 0) {
    return sums;
  }
  for (const auto& one : per_cpu) {
    for (std::size_t i = 0; i < sums.size(); ++i) {
      __u64 value = 0;
      std::memcpy(&value, reinterpret_cast<const char*>(&one) + kCounters[i].offset, sizeof(value));
      sums[i].value += value;
    }
  }
  return sums;
}

void Redirector::remove_pins() { state_->pins.reset(); }

}  // namespace hagring::redirect
