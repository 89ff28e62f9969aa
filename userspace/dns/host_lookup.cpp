// SPDX-License-Identifier: Apache-2.0
#include "userspace/dns/host_lookup.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <sstream>

#include "userspace/base/address.hpp"
#include "userspace/dns/address_query.hpp"
#include "userspace/dns/inquiry.hpp"
#include "userspace/dns/resolv_conf.hpp"

namespace hagring::dns {
namespace {

/// How long the first server is asked alone, unless it refuses sooner.
constexpr auto kAlone = std::chrono::seconds(1);
/// Lists of names to be blocked can be long. One that is longer isn't read.
constexpr std::size_t kMaxHosts = 8 << 20;

bool equal_names(std::string_view left, std::string_view right) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::ranges::equal(left, right, {}, lower, lower);
}

void add(Resolver::Addresses& all, const asio::ip::address& address) {
  if (std::ranges::find(all, address) == all.end()) all.push_back(address);
}

/// One lookup's name servers.
class Asker {
 public:
  Asker(const ResolvConf& conf, std::uint16_t port) : timeout_(conf.timeout) {
    for (const auto& address : conf.name_servers) servers_.emplace_back(address, port);
  }

  /// The addresses that the full name `name` has.
  Result<Resolver::Addresses> ask(const std::string& name) const {
    asio::io_context context(1);
    auto v4 = asio::co_spawn(context, ask(name, Type::a), asio::use_future);
    auto v6 = asio::co_spawn(context, ask(name, Type::aaaa), asio::use_future);
    context.run();
    const auto first = v4.get();
    const auto second = v6.get();
    Resolver::Addresses all;
    for (const auto* reply : {&first, &second}) {
      if (!*reply) continue;
      for (const auto& address : (*reply)->addresses) add(all, address);
    }
    if (!all.empty()) return all;
    if (!first) return first.error();
    if (!second) return second.error();
    return Errc::not_found;
  }

 private:
  /// Until a server knows whether the name is there.
  awaitable<Result<AddressReply>> ask(std::string name, Type type) const {
    CO_TRY(const auto query, make_query(name, type));
    for (auto servers = servers_; !servers.empty(); servers.erase(servers.begin())) {
      CO_TRY(auto reply, co_await exchange(query, servers, Transport::udp));
      if (reply.truncated) {
        CO_TRY(auto whole, co_await exchange(query, servers, Transport::tcp));
        reply = std::move(whole);
      }
      if (reply.rcode == Rcode::no_error || reply.rcode == Rcode::nx_domain) co_return reply;
    }
    co_return Errc::unavailable;
  }

  awaitable<Result<AddressReply>> exchange(const Bytes& query,
                                           const std::vector<Plan::Server>& servers,
                                           Transport transport) const {
    Plan plan{.transport = transport,
              .asked = servers.front(),
              .others = {servers.begin() + 1, servers.end()},
              .alone = std::min<Duration>(kAlone, timeout_),
              .limit = timeout_,
              .late = timeout_};
    const auto executor = co_await asio::this_coro::executor;
    Inquiry inquiry(executor, std::move(plan), query);
    const auto outcome = co_await inquiry.run();
    if (outcome.answer) co_return read_addresses(*outcome.answer, query);
    co_return outcome.reason == NoAnswer::silent ? Errc::timed_out : Errc::unavailable;
  }

  const Duration timeout_;
  std::vector<Plan::Server> servers_;
};

/// The full names that `name` may stand for, in the order in which they are tried (resolv.conf(5),
/// "search" and "ndots").
std::vector<std::string> candidates(const std::string& name, const ResolvConf& conf) {
  if (name.ends_with('.')) return {name};
  std::vector<std::string> all;
  for (const auto& domain : conf.search) all.push_back(name + "." + domain);
  const bool full = std::ranges::count(name, '.') >= conf.ndots;
  all.insert(full ? all.begin() : all.end(), name);
  return all;
}

Result<Resolver::Addresses> look_up(const std::string& root, std::uint16_t port,
                                    const std::string& name) {
  if (const auto hosts = read_etc_file(root, "hosts", kMaxHosts)) {
    if (auto known = find_in_hosts(*hosts, name); !known.empty()) return known;
  }
  TRY(const auto text, read_resolv_conf(root));
  const auto conf = parse_resolv_conf(text);
  const Asker asker(conf, port);
  for (const auto& full : candidates(name, conf)) {
    auto found = asker.ask(full);
    if (found || found.error() != Errc::not_found) return found;
  }
  return Errc::not_found;
}

}  // namespace

Resolver::Addresses find_in_hosts(std::string_view text, std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  Resolver::Addresses found;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string word;
    if (!(words >> word)) continue;
    error_code bad;
    const auto address = asio::ip::make_address(word, bad);
    if (bad) continue;
    while (words >> word) {
      if (equal_names(word, name)) add(found, unmapped(address));
    }
  }
  return found;
}

SystemResolver::Lookup host_lookup(std::string root, std::uint16_t port) {
  return
      [root = std::move(root), port](const std::string& name) { return look_up(root, port, name); };
}

}  // namespace hagring::dns
