// SPDX-License-Identifier: Apache-2.0
#include "registry/challenge.hpp"

#include <gtest/gtest.h>

namespace hagring::registry {
namespace {

std::string shown(std::string_view field) {
  std::string result;
  for (const auto& challenge : parse_challenges(field)) {
    result += challenge.scheme + "[" + challenge.token68;
    for (const auto& [name, value] : challenge.parameters) result.append(name + "<" + value + ">");
    result += "]";
  }
  return result;
}

TEST(Challenge, IsReadAsRegistriesSendIt) {
  EXPECT_EQ(shown(R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",)"
                  R"(scope="repository:library/nginx:pull")"),
            "bearer[realm<https://auth.docker.io/token>service<registry.docker.io>"
            "scope<repository:library/nginx:pull>]");
  EXPECT_EQ(shown(R"(Basic realm="Registry Realm")"), "basic[realm<Registry Realm>]");
  EXPECT_EQ(shown("Bearer realm=https://a/token , Service = s"),
            "bearer[realm<https://a/token>service<s>]");
  EXPECT_EQ(shown(R"(Bearer scope="a,b", error="invalid \"token\"")"),
            R"(bearer[scope<a,b>error<invalid "token">])");
}

TEST(Challenge, SeveralInOneField) {
  EXPECT_EQ(shown(R"(Negotiate, Bearer realm="r", Basic realm="b", charset=UTF-8)"),
            "negotiate[]bearer[realm<r>]basic[realm<b>charset<UTF-8>]");
  EXPECT_EQ(shown(",, Negotiate YII=, NTLM TlRM/+==,Digest a=1,,b=2"),
            "negotiate[YII=]ntlm[TlRM/+==]digest[a<1>b<2>]");
}

TEST(Challenge, WhatIsMalformedEndsTheReading) {
  EXPECT_EQ(shown(""), "");
  EXPECT_EQ(shown("\"Bearer\" realm=r"), "");
  EXPECT_EQ(shown("Bearer realm=\"r"), "");
  EXPECT_EQ(shown("Bearer realm=\"r\\"), "");
  EXPECT_EQ(shown("Bearer realm=\"r\"x=y"), "");
  EXPECT_EQ(shown("Bearer ==="), "");
  EXPECT_EQ(shown("Basic realm=\"b\", Bearer realm=\"r"), "basic[realm<b>]");
  EXPECT_EQ(shown("Bearer/1 realm=r"), "");
}

TEST(Challenge, IsBounded) {
  std::string many;
  for (int i = 0; i < 100; ++i) many += "Negotiate,";
  EXPECT_EQ(parse_challenges(many).size(), 16U);
  std::string parameters = "Bearer a=b";
  for (int i = 0; i < 100; ++i) parameters += ",a=b";
  EXPECT_TRUE(parse_challenges(parameters).empty());
}

http::Response refusal(std::initializer_list<http::Headers::Field> fields) {
  return {.status = 401, .headers = fields};
}

TEST(Challenge, TokenServiceIsTheFirstThatHasAUrl) {
  const auto found = token_service_of(refusal(
      {{"WWW-Authenticate", "Basic realm=\"https://basic.test\""},
       {"www-authenticate", "bearer realm=\"nowhere\""},
       {"Www-Authenticate",
        R"(Bearer realm="https://Auth.test:8443/token?x=1",service="s",scope="a",scope="b")"},
       {"WWW-Authenticate", "Bearer realm=\"https://other.test\""}}));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->realm.to_string(), "https://auth.test:8443/token?x=1");
  EXPECT_EQ(found->service, "s");
  EXPECT_EQ(found->scopes, (std::vector<std::string>{"a", "b"}));
}

TEST(Challenge, WithoutABearerRealmThereIsNoTokenService) {
  EXPECT_FALSE(token_service_of(refusal({})));
  EXPECT_FALSE(token_service_of(refusal({{"WWW-Authenticate", "Basic realm=\"https://b\""}})));
  EXPECT_FALSE(token_service_of(refusal({{"WWW-Authenticate", "Bearer service=\"s\""}})));
  EXPECT_FALSE(token_service_of(refusal({{"WWW-Authenticate", "Bearer realm=\"file:///x\""}})));
}

}  // namespace
}  // namespace hagring::registry
