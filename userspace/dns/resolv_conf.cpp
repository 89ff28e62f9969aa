// SPDX-License-Identifier: Apache-2.0
#include "userspace/dns/resolv_conf.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <sstream>

#include "userspace/base/address.hpp"
#include "userspace/base/unique_fd.hpp"

namespace hagring::dns {
namespace {

/// glibc's MAXNS; Go's dnsconfig_unix.go has the same.
constexpr std::size_t kMaxServers = 3;
/// glibc's RES_TIMEOUT and RES_MAXRETRANS, in seconds.
constexpr int kDefaultTimeout = 5;
constexpr int kMaxTimeout = 30;
constexpr std::size_t kMaxSize = 64 << 10;

void read_option(std::string_view option, ResolvConf& conf) {
  constexpr std::string_view kTimeout = "timeout:";
  if (!option.starts_with(kTimeout)) return;
  option.remove_prefix(kTimeout.size());
  int seconds = 0;
  const auto [end, error] = std::from_chars(option.data(), option.data() + option.size(), seconds);
  if (error != std::errc() || end != option.data() + option.size()) return;
  conf.timeout = std::chrono::seconds(std::clamp(seconds, 1, kMaxTimeout));
}

void add_server(const std::string& text, ResolvConf& conf) {
  error_code bad;
  const auto address = unmapped(asio::ip::make_address(text, bad));
  auto& servers = conf.name_servers;
  if (bad || servers.size() >= kMaxServers) return;
  if (std::find(servers.begin(), servers.end(), address) == servers.end()) {
    servers.push_back(address);
  }
}

}  // namespace

ResolvConf parse_resolv_conf(std::string_view text) {
  ResolvConf conf;
  conf.timeout = std::chrono::seconds(kDefaultTimeout);
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    // The keyword stands at the line's very beginning.
    if (line.empty() || line.front() == ' ' || line.front() == '\t' || !(words >> word)) continue;
    if (word == "nameserver" && words >> word) {
      add_server(word, conf);
    } else if (word == "options") {
      while (words >> word) read_option(word, conf);
    }
  }
  if (conf.name_servers.empty()) {
    conf.name_servers = {asio::ip::address_v4::loopback(), asio::ip::address_v6::loopback()};
  }
  return conf;
}

Result<std::string> read_resolv_conf(const std::string& root) {
  const UniqueFd root_fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root_fd) return last_system_error();
  // It often is a link, to ../run/systemd/resolve/stub-resolv.conf say.
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const UniqueFd file(static_cast<int>(
      ::syscall(SYS_openat2, root_fd.get(), "etc/resolv.conf", &how, sizeof(how))));
  if (!file) {
    if (errno == ENOENT) return std::string();
    return last_system_error();
  }
  std::string text;
  std::array<char, 4096> part;
  while (true) {
    const auto size = ::read(file.get(), part.data(), part.size());
    if (size < 0) return last_system_error();
    if (size == 0) return text;
    text.append(part.data(), static_cast<std::size_t>(size));
    if (text.size() > kMaxSize) return Errc::too_large;
  }
}

}  // namespace hagring::dns
