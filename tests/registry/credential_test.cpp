// SPDX-License-Identifier: Apache-2.0
#include "registry/credential.hpp"

#include <gtest/gtest.h>

namespace hagring::registry {
namespace {

// {"iss":"auth.docker.io","sub":"","jti":"a"} and the same with "jti":"b", "sub":"me".
constexpr auto kAnonymous =
    "Bearer eyJh.eyJpc3MiOiJhdXRoLmRvY2tlci5pbyIsInN1YiI6IiIsImp0aSI6ImEifQ.c2ln";
constexpr auto kOtherPull =
    "bearer  eyJi.eyJpc3MiOiJhdXRoLmRvY2tlci5pbyIsInN1YiI6IiIsImp0aSI6ImIifQ.b3Ro";
constexpr auto kAccount = "Bearer eyJh.eyJpc3MiOiJhdXRoLmRvY2tlci5pbyIsInN1YiI6Im1lIn0.c2ln";

TEST(Credential, TokensOfOneUserAreEqual) {
  EXPECT_EQ(owner_of_credential(kAnonymous), "token of auth.docker.io for ");
  EXPECT_EQ(owner_of_credential(kOtherPull), owner_of_credential(kAnonymous));
  EXPECT_EQ(owner_of_credential(kAccount), "token of auth.docker.io for me");
}

TEST(Credential, AnythingElseStandsForItself) {
  for (const auto* value :
       {"", "Bearer", "Bearer ", "Basic dTpw", "Bearer opaque", "Bearer a.b.c", "Bearer a..c",
        "Bearer eyJh.e30.c2ln", "Bearer eyJh.W10.c2ln", "Bearer a.eyJpc3MiOjEsInN1YiI6MX0.c",
        "Bearer a.eyJpc3M.c", "Bearer a.b.c.d", "Bearer a.eyJ=.c"}) {
    EXPECT_EQ(owner_of_credential(value), value);
  }
}

TEST(Credential, DeepOrLongClaimsAreNotRead) {
  std::string deep = "Bearer a.";
  for (int i = 0; i < 4000; ++i) deep += "W1tb";  // [[[
  EXPECT_EQ(owner_of_credential(deep + ".c"), deep + ".c");
  const auto large = "Bearer a." + std::string(100'000, 'A') + ".c";
  EXPECT_EQ(owner_of_credential(large), large);
}

}  // namespace
}  // namespace hagring::registry
