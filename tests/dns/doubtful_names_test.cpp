// SPDX-License-Identifier: Apache-2.0
#include "userspace/dns/doubtful_names.hpp"

#include <gtest/gtest.h>

#include <boost/asio/steady_timer.hpp>

#include "tests/support/manual_clock.hpp"
#include "tests/support/run.hpp"
#include "userspace/base/own_trouble.hpp"

namespace hagring::dns {
namespace {

using std::chrono::seconds;

/// Answers after `delay`.
class SlowResolver final : public Resolver {
 public:
  explicit SlowResolver(Duration delay) : delay_(delay) {}
  awaitable<Result<Addresses>> resolve(std::string) override {
    asio::steady_timer timer(co_await asio::this_coro::executor, delay_);
    const auto [error] = co_await timer.async_wait(kTuple);
    if (error) co_return hagring::Errc::cancelled;
    co_return Addresses{asio::ip::address_v4::loopback()};
  }

 private:
  Duration delay_;
};

TEST(DoubtfulNames, AreDoubtedForAWhile) {
  test::ManualClock clock;
  DoubtfulNames names(clock);
  EXPECT_FALSE(names.contains("ghcr.io"));
  names.add("ghcr.io");
  EXPECT_TRUE(names.contains("ghcr.io"));
  EXPECT_FALSE(names.contains("quay.io"));
  clock.advance(seconds(61));
  EXPECT_FALSE(names.contains("ghcr.io"));
  names.add("ghcr.io");
  names.remove("ghcr.io");
  EXPECT_FALSE(names.contains("ghcr.io"));
}

TEST(ImpatientResolver, WaitsLessForDoubtfulNames) {
  SystemClock clock;
  DoubtfulNames names(clock);
  SlowResolver slow(seconds(2));
  ImpatientResolver resolver(clock, slow, names,
                             {.limit_if_failed = std::chrono::milliseconds(20)});
  names.add("ghcr.io");
  asio::io_context context;
  EXPECT_EQ(test::run(context, resolver.resolve("ghcr.io")).error(), OwnErrc::cut_short);
  EXPECT_TRUE(test::run(context, resolver.resolve("quay.io")));
}

TEST(ImpatientResolver, GivesSlowNameServersTheTimeThatTheyMayNeed) {
  SystemClock clock;
  DoubtfulNames names(clock);
  SlowResolver slow(std::chrono::milliseconds(200));
  ImpatientResolver resolver(clock, slow, names,
                             {.limit_if_failed = std::chrono::milliseconds(20)});
  asio::io_context context;
  names.add("ghcr.io", seconds(10));
  EXPECT_TRUE(test::run(context, resolver.resolve("ghcr.io")));
  names.add("ghcr.io", std::chrono::milliseconds(30));
  EXPECT_EQ(test::run(context, resolver.resolve("ghcr.io")).error(), Errc::timed_out);
}

TEST(ImpatientResolver, AsksForDoubtfulNamesAllTheSame) {
  SystemClock clock;
  DoubtfulNames names(clock);
  SlowResolver quick{Duration(0)};
  ImpatientResolver resolver(clock, quick, names);
  names.add("ghcr.io");
  asio::io_context context;
  EXPECT_TRUE(test::run(context, resolver.resolve("ghcr.io")));
}

}  // namespace
}  // namespace hagring::dns
