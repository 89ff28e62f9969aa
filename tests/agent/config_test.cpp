// SPDX-License-Identifier: Apache-2.0
#include "userspace/agent/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "userspace/agent/setting_value.hpp"
#include "userspace/base/result.hpp"

namespace hagring::agent {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

/// What StartError `call` throws; empty when it throws none.
template <typename Call>
std::string start_error(Call call) {
  try {
    call();
  } catch (const StartError& error) {
    return error.what();
  }
  return "";
}

/// A configuration file that goes with its test.
class File {
 public:
  explicit File(const std::string& text) { std::ofstream(path_) << text; }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = testing::TempDir() + "hagring_config_test_" + std::to_string(getpid());
};

TEST(SettingValue, DurationsHaveUnits) {
  EXPECT_EQ(read_duration("500ms"), 500ms);
  EXPECT_EQ(read_duration("2s"), 2s);
  EXPECT_EQ(read_duration("1h"), 1h);
  for (const auto* bad :
       {"", "5", "5x", "-1s", "1.5s", "99999999999999999999s", "9999999999999999h"}) {
    EXPECT_NE(start_error([&] { read_duration(bad); }), "") << bad;
  }
}

TEST(SettingValue, DurationsAreWithinBounds) {
  EXPECT_EQ(read_duration("1s", 1s, 24h), 1s);
  EXPECT_EQ(read_duration("24h", 1s, 24h), 24h);
  EXPECT_THAT(start_error([] { read_duration("999ms", 1s, 24h); }), HasSubstr("from 1s to 24h"));
  EXPECT_NE(start_error([] { read_duration("25h", 1s, 24h); }), "");
}

TEST(SettingValue, IdentifiersAreContainerds) {
  for (const auto* good : {"k8s.io", "default", "a", "a-b_c.d", "MOBY"}) {
    EXPECT_EQ(read_identifier(good), good);
  }
  const std::string too_long(77, 'a');
  for (const auto& bad :
       {std::string(), std::string("k8s."), std::string(".io"), std::string("a..b"),
        std::string("\xc3\xa4"), std::string("x\",y==\""), too_long}) {
    EXPECT_NE(start_error([&] { read_identifier(bad); }), "") << bad;
  }
}

TEST(Config, RefusesTimesThatWouldSpinOrNeverRedirect) {
  for (const auto& [name, value] :
       std::map<std::string, std::string>{{"rescan-interval", "0ms"},
                                          {"heartbeat-timeout", "50ms"},
                                          {"stall-timeout", "0s"},
                                          {"origin-timeout", "4000000000h"},
                                          {"advertise", "0.0.0.0"},
                                          {"containerd-namespace", "\xc3\xa4"}}) {
    EXPECT_THAT(start_error([&] { load_config({{name, {value}}}, {}, {}); }),
                HasSubstr("--" + name));
  }
}

TEST(SettingValue, SizesCountsAndSwitches) {
  EXPECT_EQ(read_size("4MiB"), 4U << 20);
  EXPECT_EQ(read_size("4MB"), 4'000'000U);
  EXPECT_NE(start_error([] { read_size("4 MiB"); }), "");
  EXPECT_EQ(read_count("64", 1, 64), 64U);
  EXPECT_NE(start_error([] { read_count("65", 1, 64); }), "");
  EXPECT_TRUE(read_switch("true"));
  EXPECT_NE(start_error([] { read_switch("yes"); }), "");
}

TEST(SettingValue, RatesAreBitsOrBytesASecond) {
  constexpr std::uint64_t kLeast = 125'000;
  EXPECT_EQ(read_rate("unlimited", kLeast), 0U);
  EXPECT_EQ(read_rate("100Mbit/s", kLeast), 12'500'000U);
  EXPECT_EQ(read_rate("12MiB/s", kLeast), 12U << 20);
  EXPECT_EQ(read_rate("200KB/s", kLeast), 200'000U);
  for (const auto* text : {"unlimited", "100Mbit/s", "1Gbit/s", "12MiB/s", "1Mbit/s"}) {
    EXPECT_EQ(write_rate(read_rate(text, kLeast)), text);
  }
  for (const auto* bad : {"", "0", "100", "12MiB", "100Mbit", "1.5MiB/s", "Mbit/s", "/s",
                          "99999999999Gbit/s", "-1Mbit/s", "100Mb/s"}) {
    EXPECT_NE(start_error([&] { read_rate(bad, kLeast); }), "") << bad;
  }
  EXPECT_THAT(start_error([] { read_rate("999Kbit/s", kLeast); }), HasSubstr("less than 1Mbit/s"));
  EXPECT_THAT(start_error([] { read_rate("0B/s", kLeast); }), HasSubstr("less than"));
}

TEST(SettingValue, ZonesAreLabels) {
  // Empty: what a pod's environment has where its label is missing.
  for (const auto* good : {"", "a", "eu-west-1a", "Rack_7.left"}) EXPECT_EQ(read_zone(good), good);
  for (const auto& bad : {std::string("a b"), std::string("-a"), std::string("a/"),
                          std::string("\xc3\xa4"), std::string("a."), std::string(64, 'a')}) {
    EXPECT_THAT(start_error([&] { read_zone(bad); }), HasSubstr("no zone's name")) << bad;
  }
  EXPECT_EQ(read_zone(std::string(63, 'a')).size(), 63U);
}

TEST(SettingValue, EndpointsOfBothFamilies) {
  EXPECT_EQ(write_endpoint(read_endpoint("192.0.2.7:5000")), "192.0.2.7:5000");
  EXPECT_EQ(write_endpoint(read_endpoint("[2001:db8::7]:5000")), "[2001:db8::7]:5000");
  for (const auto* bad : {"192.0.2.7", "2001:db8::7:5000", "host:5000", "[192.0.2.7]:1",
                          "1.2.3.4:x", "1.2.3.4:65536", ":1"}) {
    EXPECT_THAT(start_error([&] { read_endpoint(bad); }), HasSubstr("is not")) << bad;
  }
}

TEST(SettingValue, PathsAreAbsolute) {
  EXPECT_EQ(read_path("/run/x"), "/run/x");
  for (const auto* bad : {"", "run/x", "/run/../etc"}) {
    EXPECT_NE(start_error([&] { read_path(bad); }), "") << bad;
  }
}

TEST(Config, FlagOverEnvironmentOverFile) {
  const auto loaded = load_config(
      {{"stall-timeout", {"1s"}}}, {{"stall-timeout", {"2s"}}, {"origin-timeout", {"2s"}}},
      {.values = {{"stall-timeout", {"3s"}}, {"origin-timeout", {"3s"}}, {"data-threads", {"3"}}},
       .places = {}});
  EXPECT_EQ(loaded.config.stall_timeout, 1s);
  EXPECT_EQ(loaded.config.origin_timeout, 2s);
  EXPECT_EQ(loaded.config.data_threads, 3U);
  EXPECT_THAT(describe(loaded), HasSubstr("stall-timeout = 1s  (flag)\n"));
  EXPECT_THAT(describe(loaded), HasSubstr("origin-timeout = 2s  (environment)\n"));
  EXPECT_THAT(describe(loaded), HasSubstr("data-threads = 3  (file)\n"));
  EXPECT_THAT(describe(loaded), HasSubstr("state-dir = /var/lib/hagring  (default)\n"));
}

TEST(Config, EnvironmentSplitsListsAndKnowsItsNames) {
  const auto values = read_environment({"PATH=/bin", "HAGRING_BOOTSTRAP=10.0.0.1,10.0.0.2:5001",
                                        "HAGRING_CONFIG=/etc/hagring.toml"});
  EXPECT_THAT(values.at("bootstrap"), testing::ElementsAre("10.0.0.1", "10.0.0.2:5001"));
  EXPECT_THAT(start_error([] { read_environment({"HAGRING_PEERS=x"}); }),
              HasSubstr("HAGRING_PEERS"));
}

TEST(Config, ServiceLinksOfKubernetesAreNoSettings) {
  EXPECT_TRUE(read_environment({"HAGRING_SERVICE_HOST=10.0.0.1", "HAGRING_SERVICE_PORT=5000",
                                "HAGRING_SERVICE_PORT_HTTP=1", "HAGRING_PORT=tcp://10.0.0.1:5000",
                                "HAGRING_PORT_5000_TCP=tcp://10.0.0.1:5000",
                                "HAGRING_PORT_5000_TCP_ADDR=10.0.0.1",
                                "HAGRING_BOOTSTRAP_PORT_5000_TCP_PROTO=tcp"})
                  .empty());
}

TEST(Config, BadValuesNameSettingAndSource) {
  EXPECT_THAT(start_error([] { load_config({{"data-threads", {"0"}}}, {}, {}); }),
              HasSubstr("--data-threads: '0' is not a whole number from 1 to 64"));
  EXPECT_THAT(start_error([] { load_config({}, {{"log-level", {"loud"}}}, {}); }),
              HasSubstr("HAGRING_LOG_LEVEL: 'loud'"));
  EXPECT_THAT(start_error([] {
                load_config({}, {}, {.values = {{"stall-timeout", {"1s", "2s"}}}, .places = {}});
              }),
              HasSubstr("takes one value, not 2"));
}

TEST(ConfigFile, ReadsScalarsAndLists) {
  const File file(
      "stall-timeout = \"3s\"\ninstall-ca = false\ndata-threads = 3\n"
      "registry = [\"registry.example.com\", \"http://10.0.0.9:5000\"]\n");
  const auto values = read_config_file(file.path());
  EXPECT_THAT(values.values.at("registry"),
              testing::ElementsAre("registry.example.com", "http://10.0.0.9:5000"));
  const auto loaded = load_config({}, {}, values);
  EXPECT_FALSE(loaded.config.install_ca);
  EXPECT_EQ(loaded.config.data_threads, 3U);
}

TEST(ConfigFile, SaysWhichLineIsWrong) {
  EXPECT_THAT(start_error([] { read_config_file(File("\nregistri = \"x\"\n").path()); }),
              HasSubstr("line 2, key 'registri': unknown"));
  EXPECT_THAT(start_error([] { read_config_file(File("a = \n").path()); }), HasSubstr("line 1"));
  EXPECT_THAT(start_error([] { read_config_file(File("[bootstrap]\nx = 1\n").path()); }),
              HasSubstr("neither a string"));
  EXPECT_THAT(start_error([] { read_config_file("/nonexistent/hagring.toml"); }),
              HasSubstr("/nonexistent/hagring.toml"));
}

TEST(ConfigFile, ValuesThatAreRefusedLaterAreNamedWithTheirPlace) {
  const File file("\nexclude = \"x\"\nstall-timeout = \"soon\"\n");
  const auto values = read_config_file(file.path());
  EXPECT_THAT(start_error([&] { load_config({}, {}, values); }),
              HasSubstr(file.path() + ", line 3, key 'stall-timeout': 'soon'"));
  const auto loaded = load_config({{"stall-timeout", {"1s"}}}, {{"registry", {"x"}}}, values);
  EXPECT_EQ(with_places(loaded, "--exclude: 'x' is no range"),
            "--exclude: 'x' is no range (" + file.path() + ", line 2, key 'exclude')");
  EXPECT_EQ(with_places(loaded, "--registry: 'x'"), "--registry: 'x' (HAGRING_REGISTRY)");
  // By a flag; of a longer name; none at all.
  for (const auto* text : {"--stall-timeout is short", "--exclude-not is unknown", "exclude"}) {
    EXPECT_EQ(with_places(loaded, text), text);
  }
}

TEST(Config, EverySettingRefusesNonsenseAndShowsItsDefault) {
  for (const auto& setting : settings()) {
    EXPECT_NE(setting.show(Config()), "") << setting.name;
    EXPECT_NE(setting.help, "") << setting.name;
    const auto error =
        start_error([&] { load_config({{setting.name, {"no such value, ever"}}}, {}, {}); });
    EXPECT_THAT(error, HasSubstr("--" + setting.name)) << "accepted by " << setting.name;
  }
}

}  // namespace
}  // namespace hagring::agent
