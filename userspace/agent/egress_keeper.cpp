// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/egress_keeper.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "userspace/base/log.hpp"
#include "userspace/base/task_group.hpp"
#include "userspace/proxy/certificate_authority.hpp"
#include "userspace/redirect/proc_file.hpp"

namespace hagring::agent {
namespace {

constexpr std::uint16_t kProbePort = 443;

redirect::Rule rule_for(const asio::ip::tcp::endpoint& endpoint) {
  const unsigned bits = endpoint.address().is_v4() ? 32 : 128;
  return {.destinations = prefix_of(endpoint.address(), bits),
          .port = endpoint.port(),
          .action = redirect::Rule::Action::redirect};
}

}  // namespace

EgressKeeper::EgressKeeper(asio::any_io_executor executor, Clock& clock, Resolver& resolver,
                           egress::Egress& egress, Options options, Hooks hooks)
    : clock_(clock),
      resolver_(resolver),
      egress_(egress),
      options_(std::move(options)),
      hooks_(std::move(hooks)),
      changed_(executor) {}

void EgressKeeper::follow(const std::optional<redirect::WatchedClient>& client) {
  const bool same =
      client && client_ && client->pid == client_->pid && client->start_time == client_->start_time;
  if (same) return;
  client_ = client;
  announced_ = false;
  // What streams under way still ask for goes the way it went, and the same client may come again.
  if (!client) return;
  read_environment();
  // A proxy that both clients have needn't wait for its name to be resolved.
  const auto proxies = wanted();
  forget([&](const Endpoint& endpoint) {
    return std::ranges::none_of(proxies, [&](const egress::Proxy& proxy) {
      return proxy.host == known_.at(endpoint).host && proxy.port == endpoint.port();
    });
  });
  announce();
  stale_ = true;
  changed_.cancel();
}

void EgressKeeper::read_environment() {
  unread_.clear();
  trouble_.clear();
  auto settings = std::make_shared<egress::ProxySettings>();
  const auto environ =
      redirect::read_proc_file(fmt::format("{}/{}/environ", options_.proc, client_->pid));
  if (environ) {
    settings = std::make_shared<egress::ProxySettings>(egress::parse_environment(*environ));
    unread_ = settings->problems();
  } else {
    unread_.push_back(
        fmt::format("containerd's environment can't be read ({}): whether it uses an egress "
                    "proxy isn't known; the agent has to be root and needs CAP_SYS_PTRACE",
                    environ.error().message()));
  }
  for (const auto& problem : unread_) log::warning("egress", "{}", problem);
  for (const auto* proxy : {&settings->https(), &settings->http()}) {
    if (*proxy && (*proxy)->supported()) {
      log::info("egress", "containerd (pid {}) reaches servers by the proxy {}{}", client_->pid,
                (*proxy)->shown(), proxy == &settings->https() ? "" : ", without TLS");
    }
  }
  egress_.set(std::move(settings));
}

std::vector<egress::Proxy> EgressKeeper::wanted() const {
  const auto settings = egress_.settings();
  std::vector<egress::Proxy> proxies;
  for (const auto* proxy : {&settings->https(), &settings->http()}) {
    if (*proxy && (*proxy)->supported()) proxies.push_back(**proxy);
  }
  return proxies;
}

/// Before the probe may be asked for: it would go out to the real proxy.
bool EgressKeeper::probe_reaches_us() const {
  const auto proxy = egress_.proxy_for(true, proxy::kProbeAddress, kProbePort);
  if (!proxy) return true;
  return proxy->supported() && std::ranges::any_of(known_, [&](const auto& entry) {
           return entry.second.host == proxy->host && entry.first.port() == proxy->port;
         });
}

void EgressKeeper::announce() {
  if (!client_ || announced_ || !probe_reaches_us()) return;
  announced_ = true;
  hooks_.ready(*client_);
}

awaitable<void> EgressKeeper::run() {
  while (!co_await asked_to_stop()) {
    stale_ = false;
    const bool all_resolved = co_await resolve_all();
    announce();
    if (stale_) continue;
    if (co_await asked_to_stop()) break;
    changed_.expires_after(all_resolved ? options_.interval : options_.retry);
    co_await changed_.async_wait(kTuple);
  }
  forget([](const Endpoint&) { return true; });
}

/// Whether every proxy's name has an address.
awaitable<bool> EgressKeeper::resolve_all() {
  bool all = true;
  for (const auto& proxy : wanted()) {
    const auto addresses = co_await resolver_.resolve(proxy.host);
    // The client may be another one by now.
    const auto still = wanted();
    if (std::ranges::find(still, proxy) == still.end()) co_return false;
    if (addresses) {
      trouble_.erase(proxy.host);
      apply(proxy, *addresses);
    } else if (!is_cancelled(addresses.error())) {
      all = false;
      auto& trouble = trouble_[proxy.host];
      auto text = fmt::format("the proxy's name {} doesn't resolve ({})", proxy.host,
                              addresses.error().message());
      if (trouble != text) log::warning("egress", "{}", text);
      trouble = std::move(text);
    }
  }
  forget([&](const Endpoint& endpoint) {
    return known_.at(endpoint).seen + options_.keep <= clock_.now();
  });
  co_return all;
}

void EgressKeeper::apply(const egress::Proxy& proxy, const Resolver::Addresses& addresses) {
  for (const auto& given : addresses) {
    const Endpoint endpoint(unmapped(given), proxy.port);
    if (const auto found = known_.find(endpoint); found != known_.end()) {
      found->second.seen = clock_.now();
      continue;
    }
    const bool excluded = std::ranges::any_of(
        options_.excluded, [&](const Prefix& range) { return range.contains(endpoint.address()); });
    if (excluded || hooks_.is_own(endpoint) || known_.size() >= options_.max_addresses) {
      trouble_[proxy.host] = fmt::format("the proxy at {} is left alone: {}", given.to_string(),
                                         excluded ? "--exclude has it" : "no rule is left for it");
      continue;
    }
    // Known first: what the hook then leads here is recognized.
    known_[endpoint] = {proxy.host, clock_.now()};
    publish();
    if (const auto set = hooks_.set_rule(rule_for(endpoint)); !set) {
      trouble_[proxy.host] = fmt::format("the proxy at {} can't be redirected: {}",
                                         given.to_string(), set.error().message());
      log::warning("egress", "{}", trouble_[proxy.host]);
      known_.erase(endpoint);
      publish();
    }
  }
}

void EgressKeeper::forget(const std::function<bool(const Endpoint&)>& which) {
  for (auto entry = known_.begin(); entry != known_.end();) {
    if (!which(entry->first)) {
      ++entry;
      continue;
    }
    hooks_.remove_rule(rule_for(entry->first));
    entry = known_.erase(entry);
  }
  publish();
}

void EgressKeeper::publish() {
  std::vector<egress::Egress::ProxyAddress> proxies;
  for (const auto& [endpoint, known] : known_) proxies.push_back({endpoint, known.host});
  egress_.set_proxies(std::move(proxies));
}

std::string EgressKeeper::problem() const {
  auto all = unread_;
  for (const auto& [host, trouble] : trouble_) all.push_back(trouble);
  if (client_ && !announced_) {
    all.push_back(fmt::format(
        "the trust probe would go out by the proxy, so nothing is terminated; with {} in "
        "containerd's NO_PROXY, registries that it reaches directly can be mirrored",
        proxy::kProbeAddress));
  }
  return fmt::format("{}", fmt::join(all, "; "));
}

}  // namespace hagring::agent
