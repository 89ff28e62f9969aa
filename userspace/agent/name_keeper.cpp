// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/name_keeper.hpp"

#include <algorithm>

#include "userspace/base/log.hpp"

namespace hagring::agent {
namespace {

/// Between attempts to have a name server asked through the stub, doubled each time.
constexpr Duration kFirstPause = std::chrono::seconds(1);
constexpr Duration kLongestPause = std::chrono::minutes(1);

}  // namespace

NameKeeper::NameKeeper(asio::any_io_executor executor, Clock& clock, Hooks hooks,
                       dns::DoubtfulNames& doubtful, Options options, dns::Stub::Mirrored mirrored)
    : clock_(clock),
      hooks_(std::move(hooks)),
      options_(std::move(options)),
      stub_(std::move(executor), clock, doubtful, options_.stub, std::move(mirrored)) {}

void NameKeeper::follow(std::optional<pid_t> client) {
  if (client == client_) return;
  client_ = client;
  look();
}

awaitable<void> NameKeeper::run() {
  while (!co_await asked_to_stop()) {
    look();
    co_await clock_.sleep_for(options_.interval);
  }
}

awaitable<void> NameKeeper::drain() {
  client_.reset();
  for (const auto& server : stub_.servers()) hooks_.remove_name_server(server);
  co_await stub_.drain();
}

void NameKeeper::look() {
  if (!options_.enabled || !client_) return;
  const auto text = read();
  if (!text) return complain("the client's resolv.conf can't be read", text.error());
  auto conf = dns::parse_resolv_conf(*text);
  if (conf == tried_ && (done_ || clock_.now() < next_attempt_)) return;
  if (conf != tried_) {
    complaints_.clear();
    pause_ = kFirstPause;
  }
  done_ = apply(conf);
  tried_ = std::move(conf);
  next_attempt_ = clock_.now() + pause_;
  pause_ = std::min(2 * pause_, kLongestPause);
}

Result<std::string> NameKeeper::read() const {
  auto text = dns::read_resolv_conf(options_.proc + "/" + std::to_string(*client_) + "/root");
  if (text || text.error() == hagring::Errc::too_large) return text;
  return dns::read_resolv_conf(options_.host_root);
}

/// Whether all of it was done.
bool NameKeeper::apply(const dns::ResolvConf& conf) {
  stub_.set_client_timeout(conf.timeout);
  const auto& listed = conf.name_servers;
  const auto served = stub_.servers();
  for (const auto& server : served) {
    if (std::find(listed.begin(), listed.end(), server) != listed.end()) continue;
    hooks_.remove_name_server(server);
    stub_.close(server);
    log::info("dns", "name server {} is no longer the client's", server.to_string());
  }
  bool all = true;
  for (const auto& server : listed) {
    if (std::find(served.begin(), served.end(), server) != served.end()) continue;
    if (!lead(server)) all = false;
  }
  return all;
}

bool NameKeeper::lead(const asio::ip::address& server) {
  const auto place = stub_.open(server);
  const auto set = place ? hooks_.set_name_server(server, place->udp_fd, place->tcp_fd)
                         : Result<void>(place.error());
  if (set) {
    log::info("dns", "the client's name server {} is asked through the stub", server.to_string());
    return true;
  }
  stub_.close(server);
  complain("name server " + server.to_string() + " is asked directly, which is tried again",
           set.error());
  return false;
}

void NameKeeper::complain(const std::string& what, const error_code& error) {
  auto complaint = what + ": " + error.message();
  if (const auto [kept, fresh] = complaints_.insert(std::move(complaint)); fresh) {
    log::warning("dns", "{}", *kept);
  }
}

}  // namespace hagring::agent
