// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/resolver.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "tests/support/run.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/task_group.hpp"

namespace hagring {
namespace {

using namespace std::chrono_literals;
using Addresses = Resolver::Addresses;

const auto kAddress = asio::ip::make_address("10.1.2.3");

/// A lookup that stays until it is let go. Its thread may outlive the test.
struct Gate {
  std::promise<void> promise;
  std::shared_future<void> open{promise.get_future()};
  std::shared_ptr<std::atomic<int>> lookups = std::make_shared<std::atomic<int>>(0);

  SystemResolver::Lookup lookup() {
    return [opened = open, count = lookups](const std::string&) -> Result<Addresses> {
      ++*count;
      opened.wait();
      return Addresses{kAddress};
    };
  }
};

TEST(Resolver, AddressIsItsOwnAnswer) {
  asio::io_context context;
  SystemResolver resolver({}, [](const std::string&) -> Result<Addresses> { throw 0; });
  EXPECT_EQ(test::run(context, resolver.resolve("2001:db8::1")).value(),
            Addresses{asio::ip::make_address("2001:db8::1")});
}

TEST(Resolver, RefusesWhatIsNoName) {
  asio::io_context context;
  SystemResolver resolver({}, [](const std::string&) -> Result<Addresses> { throw 0; });
  EXPECT_EQ(test::run(context, resolver.resolve("")).error(), Errc::bad_message);
  EXPECT_EQ(test::run(context, resolver.resolve(std::string(254, 'a'))).error(), Errc::bad_message);
  EXPECT_EQ(test::run(context, resolver.resolve(std::string("a\0b", 3))).error(),
            Errc::bad_message);
}

TEST(Resolver, ReadsTheHostsFile) {
  asio::io_context context;
  SystemResolver resolver;
  const auto addresses = test::run(context, resolver.resolve("localhost"));
  ASSERT_TRUE(addresses) << addresses.error().message();
  for (const auto& address : *addresses) EXPECT_TRUE(address.is_loopback());
}

TEST(Resolver, StuckLookupIsAbandonedAtTheLimit) {
  Gate gate;
  {
    asio::io_context context;
    SystemResolver resolver({.limit = 20ms}, gate.lookup());
    EXPECT_EQ(test::run(context, resolver.resolve("stuck.test")).error(), Errc::timed_out);
  }  // context and resolver go while the lookup still runs
  gate.promise.set_value();
}

TEST(Resolver, CancellationReturnsAtOnce) {
  Gate gate;
  {
    asio::io_context context;
    SystemClock clock;
    SystemResolver resolver({.limit = 1h}, gate.lookup());
    const auto result =
        test::run(context, with_deadline(clock, 10ms, resolver.resolve("stuck.test")));
    EXPECT_EQ(result.error(), Errc::timed_out);
  }
  gate.promise.set_value();
}

TEST(Resolver, OneLookupAnswersAllWhoAskForAName) {
  Gate gate;
  asio::io_context context;
  SystemResolver resolver({}, gate.lookup());
  TaskGroup group(context.get_executor(), "test");
  int answers = 0;
  for (int i = 0; i < 10; ++i) {
    group.spawn([&]() -> awaitable<void> {
      if (co_await resolver.resolve("same.test") == Result<Addresses>(Addresses{kAddress})) {
        ++answers;
      }
    });
  }
  context.poll();  // all ten have asked
  gate.promise.set_value();
  test::run(context, group.drain());
  EXPECT_EQ(answers, 10);
  EXPECT_EQ(*gate.lookups, 1);
}

TEST(Resolver, WaitingCallersAreBounded) {
  Gate gate;
  asio::io_context context;
  SystemResolver resolver({.threads = 1, .waiting = 2}, gate.lookup());
  TaskGroup group(context.get_executor(), "test");
  for (const auto* name : {"a.test", "b.test"}) {
    group.spawn([&resolver, name]() -> awaitable<void> { co_await resolver.resolve(name); });
  }
  context.poll();
  EXPECT_EQ(test::run(context, resolver.resolve("c.test")).error(), Errc::unavailable);
  // Those who have gone make room.
  group.cancel();
  test::run(context, group.drain());
  gate.promise.set_value();
  EXPECT_TRUE(test::run(context, resolver.resolve("c.test")));
}

}  // namespace
}  // namespace hagring
