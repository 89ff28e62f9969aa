// SPDX-License-Identifier: Apache-2.0
#include "userspace/dns/resolv_conf.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <optional>
#include <sstream>

#include "userspace/base/address.hpp"
#include "userspace/base/open_in_root.hpp"

namespace hagring::dns {
namespace {

/// glibc's MAXNS; Go's dnsconfig_unix.go has the same.
constexpr std::size_t kMaxServers = 3;
/// glibc's RES_TIMEOUT and RES_MAXRETRANS, in seconds.
constexpr int kDefaultTimeout = 5;
constexpr int kMaxTimeout = 30;
/// glibc's RES_MAXNDOTS.
constexpr int kMaxNdots = 15;
/// Each of them may cost a time-out. glibc has had no limit since 2.26, before it was 6.
constexpr std::size_t kMaxSearch = 16;
constexpr std::size_t kMaxSize = 64 << 10;

/// The number of an option such as `timeout:2`, within the limits; nullopt if it is another option.
std::optional<int> option_value(std::string_view option, std::string_view name, int least,
                                int most) {
  if (!option.starts_with(name)) return std::nullopt;
  option.remove_prefix(name.size());
  int value = 0;
  const auto [end, error] = std::from_chars(option.data(), option.data() + option.size(), value);
  if (error != std::errc() || end != option.data() + option.size()) return std::nullopt;
  return std::clamp(value, least, most);
}

void read_option(std::string_view option, ResolvConf& conf) {
  if (const auto seconds = option_value(option, "timeout:", 1, kMaxTimeout)) {
    conf.timeout = std::chrono::seconds(*seconds);
  } else if (const auto dots = option_value(option, "ndots:", 0, kMaxNdots)) {
    conf.ndots = *dots;
  }
}

/// `search` and `domain` replace what an earlier one said.
void read_search(std::istream& words, ResolvConf& conf, std::size_t most) {
  conf.search.clear();
  for (std::string word; words >> word && conf.search.size() < most;) {
    while (word.ends_with('.')) word.pop_back();
    if (!word.empty()) conf.search.push_back(word);
  }
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
    } else if (word == "search" || word == "domain") {
      read_search(words, conf, word == "domain" ? 1 : kMaxSearch);
    }
  }
  if (conf.name_servers.empty()) {
    conf.name_servers = {asio::ip::address_v4::loopback(), asio::ip::address_v6::loopback()};
  }
  return conf;
}

Result<std::string> read_resolv_conf(const std::string& root) {
  return read_etc_file(root, "resolv.conf", kMaxSize);
}

Result<std::string> read_etc_file(const std::string& root, const std::string& name,
                                  std::size_t limit) {
  // resolv.conf often is a link, to ../run/systemd/resolve/stub-resolv.conf say.
  const auto file = open_in_root(root, "etc/" + name, O_RDONLY | O_NONBLOCK);
  if (!file) {
    const auto failed = last_system_error();
    error_code ignored;
    // Without the file the defaults hold; without the root its process has ended.
    const bool absent = failed == boost::system::errc::no_such_file_or_directory &&
                        std::filesystem::is_directory(root, ignored);
    if (absent) return std::string();
    return failed;
  }
  std::string text;
  std::array<char, 4096> part;
  while (true) {
    const auto size = ::read(file.get(), part.data(), part.size());
    if (size < 0) return last_system_error();
    if (size == 0) return text;
    text.append(part.data(), static_cast<std::size_t>(size));
    if (text.size() > limit) return Errc::too_large;
  }
}

}  // namespace hagring::dns
