// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/name_keeper.hpp"

#include <algorithm>

#include "userspace/base/log.hpp"

namespace hagring::agent {

NameKeeper::NameKeeper(asio::any_io_executor executor, Clock& clock,
                       redirect::Redirector& redirector, dns::DoubtfulNames& doubtful,
                       Options options, dns::Stub::Mirrored mirrored)
    : clock_(clock),
      redirector_(redirector),
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
  for (const auto& server : stub_.servers()) redirector_.remove_name_server(server);
  co_await stub_.drain();
}

void NameKeeper::look() {
  if (!options_.enabled || !client_) return;
  const auto text = read();
  if (!text) return complain("the client's resolv.conf can't be read", text.error());
  auto conf = dns::parse_resolv_conf(*text);
  if (conf == applied_) return;
  complaint_.clear();
  apply(conf);
  applied_ = std::move(conf);
}

Result<std::string> NameKeeper::read() const {
  auto text = dns::read_resolv_conf(options_.proc + "/" + std::to_string(*client_) + "/root");
  if (text || text.error() == hagring::Errc::too_large) return text;
  return dns::read_resolv_conf(options_.host_root);
}

void NameKeeper::apply(const dns::ResolvConf& conf) {
  stub_.set_client_timeout(conf.timeout);
  const auto& listed = conf.name_servers;
  const auto served = stub_.servers();
  for (const auto& server : served) {
    if (std::find(listed.begin(), listed.end(), server) != listed.end()) continue;
    redirector_.remove_name_server(server);
    stub_.close(server);
    log::info("dns", "name server {} is no longer the client's", server.to_string());
  }
  for (const auto& server : listed) {
    if (std::find(served.begin(), served.end(), server) != served.end()) continue;
    const auto place = stub_.open(server);
    const auto set = place ? redirector_.set_name_server(server, place->udp_fd, place->tcp_fd)
                           : Result<void>(place.error());
    if (set) {
      log::info("dns", "the client's name server {} is asked through the stub", server.to_string());
    } else {
      stub_.close(server);
      complain("name server " + server.to_string() + " is asked directly", set.error());
    }
  }
}

void NameKeeper::complain(const std::string& what, const error_code& error) {
  auto complaint = what + ": " + error.message();
  if (complaint == complaint_) return;
  log::warning("dns", "{}", complaint);
  complaint_ = std::move(complaint);
}

}  // namespace hagring::agent
