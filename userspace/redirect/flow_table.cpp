// SPDX-License-Identifier: Apache-2.0
#include "userspace/redirect/flow_table.hpp"

#include <bpf/bpf.h>

#include <cerrno>

#include "userspace/redirect/abi_address.hpp"
#include "userspace/redirect/socket_address.hpp"

namespace hagring::redirect {
namespace {

Flow to_flow(const abi::flow_key& key, const abi::flow& value) {
  Flow flow;
  flow.original = {from_abi(value.original_binary),
                   static_cast<std::uint16_t>(value.original_port)};
  flow.client = {from_abi(key.client_address), static_cast<std::uint16_t>(key.client_port)};
  flow.mirror_port = static_cast<std::uint16_t>(key.mirror_port);
  flow.client_tgid = value.client_tgid;
  flow.client_comm = get_text(value.client_comm);
  flow.socket_cookie = value.socket_cookie;
  flow.opened = TimePoint(std::chrono::nanoseconds(value.opened_monotonic_ns));
  flow.open = value.state == abi::open;
  return flow;
}

}  // namespace

Result<Flow> FlowTable::find(int accepted_fd) const {
  TRY(const auto peer, peer_endpoint(accepted_fd));
  TRY(const auto local, local_endpoint(accepted_fd));
  abi::flow_key key{};
  if (netns_cookie_known_) {
    TRY(key.netns_cookie, netns_cookie(accepted_fd));
  }
  key.client_address = to_abi(peer.address());
  key.client_port = peer.port();
  key.mirror_port = local.port();
  abi::flow value{};
  if (::bpf_map_lookup_elem(map_fd_, &key, &value) != 0) {
    if (errno == ENOENT) return hagring::Errc::not_found;
    return last_system_error();
  }
  if (value.state != abi::open) return hagring::Errc::not_found;
  return to_flow(key, value);
}

std::vector<Flow> FlowTable::recent(std::size_t most) const {
  std::vector<Flow> flows;
  abi::flow_key previous{};
  abi::flow_key key{};
  const abi::flow_key* after = nullptr;
  // If the previous key has been evicted, the kernel begins anew: hence a limit, and duplicates.
  for (std::uint32_t i = 0; i < max_flows_; ++i) {
    if (::bpf_map_get_next_key(map_fd_, after, &key) != 0) break;
    abi::flow value{};
    if (::bpf_map_lookup_elem(map_fd_, &key, &value) == 0) flows.push_back(to_flow(key, value));
    previous = key;
    after = &previous;
  }
  const auto order = [](const Flow& flow) {
    return std::pair(flow.opened.time_since_epoch().count(), flow.socket_cookie);
  };
  std::sort(flows.begin(), flows.end(),
            [&](const Flow& a, const Flow& b) { return order(a) > order(b); });
  const auto duplicates =
      std::unique(flows.begin(), flows.end(),
                  [&](const Flow& a, const Flow& b) { return order(a) == order(b); });
  flows.erase(duplicates, flows.end());
  if (flows.size() > most) flows.resize(most);
  return flows;
}

}  // namespace hagring::redirect
