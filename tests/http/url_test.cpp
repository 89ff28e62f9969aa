// SPDX-License-Identifier: Apache-2.0
#include "userspace/http/url.hpp"

#include <gtest/gtest.h>

namespace hagring::http {
namespace {

TEST(Url, IsTakenApart) {
  const auto url = parse_url("HTTPS://Cdn.Example.COM:8443/a/b%20c?sig=%2F&x=1#fragment");
  ASSERT_TRUE(url);
  EXPECT_EQ(*url, (Url{"https", "cdn.example.com", 8443, "/a/b%20c?sig=%2F&x=1"}));
  EXPECT_EQ(url->authority(), "cdn.example.com:8443");
  EXPECT_EQ(url->to_string(), "https://cdn.example.com:8443/a/b%20c?sig=%2F&x=1");
  EXPECT_EQ(parse_url("http://h")->target, "/");
  EXPECT_EQ(parse_url("http://h?q")->target, "/?q");
  EXPECT_EQ(parse_url("http://h:/")->port, 80);
  EXPECT_EQ(parse_url("https://h:443/")->authority(), "h");
  EXPECT_EQ(parse_url("http://[2001:db8::1]:5000/x")->host, "2001:db8::1");
  EXPECT_EQ(parse_url("http://[2001:db8::1]:5000/x")->authority(), "[2001:db8::1]:5000");
}

TEST(Url, MalformedOnesAreRefused) {
  for (const std::string_view text : {"",
                                      "/a",
                                      "ftp://h/",
                                      "http:/h",
                                      "http://",
                                      "http:///a",
                                      "http://user@h/",
                                      "http://user:pass@h/",
                                      "http://h:0/",
                                      "http://h:65536/",
                                      "http://h:8x/",
                                      "http://h:-1/",
                                      "http://h/a b",
                                      "http://h/%",
                                      "http://h/%4",
                                      "http://h/%4x",
                                      "http://h\r\n/",
                                      "http://[::1/",
                                      "http://[::1]x/",
                                      "http://[zz]/",
                                      "http://h\\@evil/",
                                      "http://a,b/"}) {
    EXPECT_EQ(parse_url(text).error(), Errc::bad_message) << text;
  }
  EXPECT_EQ(parse_url("http://h/" + std::string(20'000, 'a')).error(), Errc::too_large);
}

TEST(Url, RedirectsAreResolved) {
  const auto base = *parse_url("https://r.io:444/v2/a/blobs/sha256:1?ns=x");
  const auto resolved = [&base](std::string_view reference) {
    const auto url = resolve_url(base, reference);
    return url ? url->to_string() : url.error().message();
  };
  EXPECT_EQ(resolved("http://cdn/x?y"), "http://cdn/x?y");
  EXPECT_EQ(resolved("//cdn/x"), "https://cdn/x");
  EXPECT_EQ(resolved("/x/../y:z"), "https://r.io:444/y:z");
  EXPECT_EQ(resolved("x"), "https://r.io:444/v2/a/blobs/x");
  EXPECT_EQ(resolved("./x/./?q=/../"), "https://r.io:444/v2/a/blobs/x/?q=/../");
  EXPECT_EQ(resolved("../../../../.."), "https://r.io:444/");
  EXPECT_EQ(resolved("?q"), "https://r.io:444/v2/a/blobs/sha256:1?q");
  EXPECT_EQ(resolved(""), base.to_string());
  EXPECT_EQ(resolved("#f"), base.to_string());
  EXPECT_FALSE(resolve_url(base, "javascript:alert(1)"));
  EXPECT_FALSE(resolve_url(base, "/a b"));
  EXPECT_FALSE(resolve_url(base, "http://"));
}

TEST(Target, PathAndQueryApart) {
  const auto parts = split_target("/v2/a/manifests/b?ns=docker.io&x");
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->path, "/v2/a/manifests/b");
  EXPECT_EQ(parts->query, "ns=docker.io&x");
  EXPECT_EQ(split_target("http://h:1/v2/?a")->path, "/v2/");
  for (const std::string_view bad : {"", "*", "h:443", "v2/", "/a#b", "/%zz", "/%", "http://h"}) {
    EXPECT_FALSE(split_target(bad)) << bad;
  }
}

TEST(Target, DecodesEscapesButNoControls) {
  EXPECT_EQ(*percent_decoded("sha256%3Aab%2fc+"), "sha256:ab/c+");
  for (const std::string_view bad : {"%00", "%0d%0a", "%7f", "%", "%1", "a%2"}) {
    EXPECT_FALSE(percent_decoded(bad)) << bad;
  }
}

TEST(Target, FindsAQuerysValue) {
  EXPECT_EQ(query_value("a=b&ns=docker.io&ns=second", "ns"), "docker.io");
  EXPECT_EQ(query_value("ns=127.0.0.1%3A5000", "ns"), "127.0.0.1:5000");
  EXPECT_EQ(query_value("ns", "ns"), "");
  EXPECT_EQ(query_value("xns=a&&=&n", "ns"), std::nullopt);
  EXPECT_EQ(query_value("ns=%00", "ns"), std::nullopt);
}

}  // namespace
}  // namespace hagring::http
