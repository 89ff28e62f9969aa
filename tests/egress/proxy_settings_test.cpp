// SPDX-License-Identifier: Apache-2.0
#include "userspace/egress/proxy_settings.hpp"

#include <gtest/gtest.h>

namespace hagring::egress {
namespace {

using namespace std::string_literals;

std::string shown(const std::string& text) {
  const auto proxy = parse_proxy(text);
  return proxy ? proxy->shown() + " " + proxy->authorization : "none";
}

TEST(ProxyUrl, IsReadAsGoReadsIt) {
  EXPECT_EQ(shown("http://proxy.test:3128"), "http://proxy.test:3128 ");
  EXPECT_EQ(shown("http://Proxy.Test"), "http://proxy.test:80 ");
  EXPECT_EQ(shown("HTTP://proxy.test/"), "http://proxy.test:80 ");
  EXPECT_EQ(shown("https://proxy.test"), "https://proxy.test:443 ");
  EXPECT_EQ(shown("socks5://proxy.test"), "socks5://proxy.test:1080 ");
  EXPECT_EQ(shown("http://[fd00::1]:3128/path?query#fragment"), "http://[fd00::1]:3128 ");
  EXPECT_EQ(shown("http://proxy.test:"), "http://proxy.test:80 ");
}

TEST(ProxyUrl, SchemeMayBeLeftOut) {
  EXPECT_EQ(shown("proxy.test:3128"), "http://proxy.test:3128 ");
  EXPECT_EQ(shown("10.1.2.3:3128"), "http://10.1.2.3:3128 ");
  EXPECT_EQ(shown("proxy"), "http://proxy:80 ");
  EXPECT_EQ(shown("user:secret@proxy.test:3128"), "http://proxy.test:3128 Basic dXNlcjpzZWNyZXQ=");
}

TEST(ProxyUrl, UserInformationBecomesBasicAuthorization) {
  // RFC 7617, section 2, and the same encoded.
  EXPECT_EQ(shown("http://Aladdin:open%20sesame@proxy.test"),
            "http://proxy.test:80 Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  EXPECT_EQ(shown("http://user@proxy.test"), "http://proxy.test:80 Basic dXNlcjo=");
  EXPECT_EQ(shown("http://a@b:c@proxy.test"), "http://proxy.test:80 Basic YUBiOmM=");
}

TEST(ProxyUrl, WhatIsNoUrlIsRefused) {
  for (const auto& text :
       {"http://proxy.test:port"s, "http://proxy.test:99999"s, "http://"s, "http://a b"s,
        "http://us er@proxy.test"s, "http://u%zz@proxy.test"s, "http://[fd00::1:3128"s,
        "http://proxy\r\nX: y"s, "://"s, "http://@"s, "proxy:port"s, "a b"s, ""s}) {
    EXPECT_EQ(shown(text), "none") << text;
  }
}

TEST(ProxySettings, EnvironmentIsTakenApart) {
  const auto variables = parse_environment("A=1\0B=two=2\0\0=x\0none\0A=3\0C="s);
  EXPECT_EQ(variables, (Environment{{"A", "1"}, {"B", "two=2"}, {"C", ""}}));
}

TEST(ProxySettings, EachSchemeHasItsProxy) {
  const ProxySettings settings({{"HTTPS_PROXY", "http://secure.test:1"},
                                {"HTTP_PROXY", "http://plain.test:2"},
                                {"NO_PROXY", "direct.test"}});
  EXPECT_EQ(settings.proxy_for(true, "registry.test", 443)->host, "secure.test");
  EXPECT_EQ(settings.proxy_for(false, "registry.test", 80)->host, "plain.test");
  EXPECT_FALSE(settings.proxy_for(true, "direct.test", 443));
  EXPECT_FALSE(settings.proxy_for(true, "127.0.0.1", 443));
  EXPECT_TRUE(settings.problems().empty());
}

TEST(ProxySettings, UpperCaseComesFirstAndEmptyIsNone) {
  const ProxySettings both({{"HTTPS_PROXY", "upper.test"}, {"https_proxy", "lower.test"}});
  EXPECT_EQ(both.https()->host, "upper.test");
  const ProxySettings empty({{"HTTPS_PROXY", ""}, {"https_proxy", "lower.test"}});
  EXPECT_EQ(empty.https()->host, "lower.test");
  EXPECT_FALSE(empty.http());
  EXPECT_FALSE(ProxySettings().proxy_for(true, "registry.test", 443));
}

TEST(ProxySettings, ProblemsAreToldWithoutTheValue) {
  const ProxySettings settings(
      {{"HTTPS_PROXY", "socks5://u:secret@p.test"}, {"HTTP_PROXY", "http://u:secret@p:x"}});
  ASSERT_EQ(settings.problems().size(), 2U);
  for (const auto& problem : settings.problems()) {
    EXPECT_EQ(problem.find("secret"), std::string::npos) << problem;
  }
  EXPECT_FALSE(settings.proxy_for(true, "registry.test", 443)->supported());
  EXPECT_FALSE(settings.proxy_for(false, "registry.test", 80)->supported());
  EXPECT_EQ(settings.http()->shown(), "unreadable");
}

}  // namespace
}  // namespace hagring::egress
