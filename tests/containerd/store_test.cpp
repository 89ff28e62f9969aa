// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/store.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <fstream>
#include <set>

#include "tests/containerd/daemon.hpp"
#include "tests/containerd/tiny_image.hpp"
#include "tests/support/run.hpp"
#include "userspace/base/data_threads.hpp"

namespace hagring::containerd {
namespace {

using namespace std::chrono_literals;
using test::TinyImage;

constexpr auto kName = "docker.io/library/tiny:1";

/// How long the control thread may be held up: a tenth of the hook's heartbeat timeout.
constexpr Duration kLongestTurn = 50ms;

/// A store beside a real containerd of the version that is the test's parameter.
class StoreTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (test::containerd_binaries(GetParam()).empty()) {
      GTEST_SKIP() << "SKIPPED, nothing is shown: containerd " << GetParam()
                   << " is missing, run scripts/fetch_containerd.sh";
    }
    daemon_ = std::make_unique<test::Daemon>(GetParam());
  }

  void TearDown() override {
    if (store_) test::run(context_, store_->stop());
  }

  void start_store() {
    FollowerOptions options{.socket = daemon_->socket()};
    options.rescan_after_delete = 100ms;
    options.longest_retry = 200ms;
    store_ = std::make_unique<ContainerdStore>(context_.get_executor(), clock_, options,
                                               [this](Changes changes) {
                                                 for (auto& key : changes.added) held_.insert(key);
                                                 for (auto& key : changes.removed) held_.erase(key);
                                               });
    store_->start();
  }

  void start_both() {
    daemon_->start();
    start_store();
    ASSERT_TRUE(eventually([this] { return store_->state().connected; }))
        << store_->state().problem;
  }

  /// Runs the store until `condition` holds, and returns whether it came to that.
  bool eventually(const std::function<bool()>& condition, Duration limit = 20s) {
    const auto end = clock_.now() + limit;
    context_.restart();
    while (!condition()) {
      if (clock_.now() > end) return false;
      context_.run_one_for(20ms);
    }
    return true;
  }

  bool holds(const std::string& key) const { return held_.contains(key); }
  bool holds(const registry::Digest& digest) const { return holds(digest.to_string()); }
  bool holds(const TinyImage& image) const {
    return holds(image.manifest_digest()) && holds(image.config_digest()) &&
           holds(image.layer_digest());
  }

  void import_image(const TinyImage& image, const std::string& name_space = "k8s.io") {
    const auto archive = daemon_->folder() / "image.tar";
    image.write_archive(archive);
    daemon_->ctr({"images", "import", "--no-unpack", archive}, name_space);
  }

  Result<registry::OpenBlob> open(const registry::Digest& digest) {
    return test::run(context_, store_->open(digest));
  }

  std::string content_of(const registry::Digest& digest) {
    const auto blob = open(digest);
    if (!blob) return "(" + blob.error().message() + ")";
    std::string content(blob->size, '\0');
    const auto size = ::pread(blob->file.get(), content.data(), content.size(), 0);
    content.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    return content;
  }

  asio::io_context context_;
  SystemClock clock_;
  std::unique_ptr<test::Daemon> daemon_;
  std::unique_ptr<ContainerdStore> store_;
  std::set<std::string> held_;
};

TEST_P(StoreTest, TellsWhereABlobIsFrom) {
  start_both();
  const TinyImage image(kName, "some layer");
  const auto digest = image.layer_digest();
  using Sources = std::vector<registry::ContentSource>;
  const auto sources = [&]() -> Result<Sources> {
    return test::run(context_, store_->sources(digest));
  };
  EXPECT_EQ(sources().error(), Errc::not_found);
  import_image(image);
  ASSERT_TRUE(eventually([&] { return holds(image); }));
  EXPECT_EQ(sources().value(), Sources());  // imported, and that is not remembered
  const std::string label = "containerd.io/distribution.source.docker.io=acme/app,library/x";
  daemon_->ctr({"content", "label", digest.to_string(), label});
  const Sources expected{{.registry = "docker.io", .repository = "acme/app"},
                         {.registry = "docker.io", .repository = "library/x"}};
  EXPECT_EQ(sources().value(), expected);
  daemon_->stop();
  EXPECT_EQ(sources().value(), expected);
}

TEST_P(StoreTest, SeesAnImageThatIsImported) {
  start_both();
  const TinyImage image(kName, "some layer");
  import_image(image);
  ASSERT_TRUE(eventually([&] { return holds(kName) && holds(image); }));
  EXPECT_EQ(content_of(image.layer_digest()), image.layer);
  EXPECT_EQ(content_of(image.config_digest()), image.config);
  EXPECT_EQ(content_of(image.manifest_digest()), image.manifest);
  const auto target = test::run(context_, store_->resolve(kName));
  ASSERT_TRUE(target) << target.error().message();
  EXPECT_EQ(target->digest, image.manifest_digest());
  EXPECT_EQ(target->size, image.manifest.size());
  EXPECT_EQ(target->media_type, "application/vnd.oci.image.manifest.v1+json");
}

TEST_P(StoreTest, ListsWhatWasThereBefore) {
  daemon_->start();
  const TinyImage image(kName, "some layer");
  import_image(image);
  start_store();
  ASSERT_TRUE(eventually([&] { return holds(kName) && holds(image); }));
  EXPECT_GE(store_->state().blobs, 3U) << "ctr may have left an index of its own";
  EXPECT_EQ(store_->state().images, 1U);
  EXPECT_EQ(store_->state().root, daemon_->content_root());
}

TEST_P(StoreTest, UnknownContentIsNotFound) {
  start_both();
  EXPECT_EQ(open(test::digest_of("nobody has this")).error(), Errc::not_found);
  EXPECT_EQ(test::run(context_, store_->resolve("docker.io/library/none:1")).error(),
            Errc::not_found);
}

TEST_P(StoreTest, FollowsTags) {
  start_both();
  const TinyImage image(kName, "some layer");
  import_image(image);
  const std::string other = "docker.io/library/nginx-not-exist:1.27.4";
  daemon_->ctr({"images", "tag", kName, other});
  ASSERT_TRUE(eventually([&] { return holds(other); }));
  const auto target = test::run(context_, store_->resolve(other));
  ASSERT_TRUE(target);
  EXPECT_EQ(target->digest, image.manifest_digest());
  daemon_->ctr({"images", "rm", other});
  ASSERT_TRUE(eventually([&] { return !holds(other); }));
  EXPECT_EQ(test::run(context_, store_->resolve(other)).error(), Errc::not_found);
  EXPECT_TRUE(holds(kName));
  EXPECT_TRUE(holds(image));
}

TEST_P(StoreTest, CollectedContentIsWithdrawn) {
  start_both();
  const TinyImage image(kName, "some layer");
  import_image(image);
  ASSERT_TRUE(eventually([&] { return holds(kName) && holds(image); }));
  daemon_->ctr({"images", "rm", "--sync", kName});
  EXPECT_EQ(open(image.layer_digest()).error(), Errc::not_found);
  ASSERT_TRUE(eventually([&] { return held_.empty(); }));
}

TEST_P(StoreTest, ContentThatNoEventNamedIsFoundWhenAskedFor) {
  start_both();
  const std::string content = "written without an image";
  const auto digest = test::digest_of(content);
  const auto file = daemon_->folder() / "content";
  std::ofstream(file) << content;
  test::ChildProcess ingest(daemon_->ctr_command({"content", "ingest", "--expected-digest",
                                                  digest.to_string(), "some-ref"}),
                            daemon_->folder() / "ctr",
                            UniqueFd(::open(file.c_str(), O_RDONLY | O_CLOEXEC)));
  ASSERT_EQ(ingest.wait(), 0);
  EXPECT_EQ(content_of(digest), content);
}

TEST_P(StoreTest, OtherNamespacesAreInvisible) {
  start_both();
  const TinyImage foreign("docker.io/library/foreign:1", "of another namespace");
  const TinyImage own(kName, "of this namespace");
  import_image(foreign, "default");
  import_image(own);
  ASSERT_TRUE(eventually([&] { return holds(kName) && holds(own); }));
  EXPECT_FALSE(holds(foreign.name));
  EXPECT_FALSE(holds(foreign.layer_digest()));
  EXPECT_EQ(open(foreign.layer_digest()).error(), Errc::not_found);
  EXPECT_EQ(test::run(context_, store_->resolve(foreign.name)).error(), Errc::not_found);
}

TEST_P(StoreTest, RecoversWhenContainerdIsRestarted) {
  start_both();
  const TinyImage before(kName, "before");
  import_image(before);
  ASSERT_TRUE(eventually([&] { return holds(kName) && holds(before); }));
  daemon_->stop();
  ASSERT_TRUE(eventually([&] { return !store_->state().connected; }));
  EXPECT_NE(store_->state().problem, "");
  EXPECT_EQ(content_of(before.layer_digest()), before.layer) << "served without containerd";
  EXPECT_EQ(open(test::digest_of("unknown")).error(), Errc::unavailable);
  daemon_->start();
  ASSERT_TRUE(eventually([&] { return store_->state().connected; }));
  EXPECT_EQ(store_->state().problem, "");
  EXPECT_TRUE(holds(before));
  const TinyImage after("docker.io/library/tiny:2", "after");
  import_image(after);
  EXPECT_TRUE(eventually([&] { return holds(after.name) && holds(after); }));
}

TEST_P(StoreTest, WaitsForASocketThatAppearsLater) {
  start_store();
  ASSERT_TRUE(eventually([&] { return !store_->state().problem.empty(); }));
  EXPECT_NE(store_->state().problem.find(daemon_->socket()), std::string::npos);
  EXPECT_EQ(open(test::digest_of("unknown")).error(), Errc::unavailable);
  daemon_->start();
  EXPECT_TRUE(eventually([&] { return store_->state().connected; })) << store_->state().problem;
}

TEST_P(StoreTest, AbortsTheIngestOfOneDigestOnly) {
  start_both();
  const auto wrong = test::digest_of("wrong");
  const auto right = test::digest_of("right");
  // Each ctr waits for the rest of its input: the ingests stay open.
  std::vector<UniqueFd> inputs;
  std::vector<std::unique_ptr<test::ChildProcess>> writers;
  for (const auto& digest : {wrong, right}) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    inputs.emplace_back(ends[1]);
    ASSERT_EQ(::write(ends[1], "half", 4), 4);
    writers.push_back(std::make_unique<test::ChildProcess>(
        daemon_->ctr_command({"content", "ingest", "--expected-digest", digest.to_string(),
                              "--expected-size", "8", "layer-" + digest.to_string()}),
        daemon_->folder() / "ctr", UniqueFd(ends[0])));
  }
  Client client(daemon_->socket(), "k8s.io");
  const auto ingests = [&] { return test::run(context_, client.ingests()).value(); };
  ASSERT_TRUE(eventually([&] { return ingests().size() == 2; }));
  const auto aborted = test::run(context_, store_->abort_ingest(wrong));
  EXPECT_TRUE(aborted) << aborted.error().message();
  EXPECT_EQ(ingests(), std::vector<std::string>{"layer-" + right.to_string()});
  EXPECT_TRUE(test::run(context_, store_->abort_ingest(wrong))) << "nothing left is no error";
}

TEST_P(StoreTest, AnswersOnTheCallersThread) {
  start_both();
  const TinyImage image(kName, "some layer");
  import_image(image);
  DataThreads callers(2, "caller");
  std::vector<std::future<bool>> answers;
  const auto ask = [&]() -> awaitable<bool> {
    const auto thread = std::this_thread::get_id();
    const auto blob = co_await store_->open(image.layer_digest());
    co_return blob&& std::this_thread::get_id() == thread;
  };
  for (std::size_t i = 0; i < 50; ++i) {
    answers.push_back(asio::co_spawn(callers.at(i % 2), ask(), asio::use_future));
  }
  for (auto& answer : answers) {
    ASSERT_TRUE(eventually([&] { return answer.wait_for(0s) == std::future_status::ready; }));
    EXPECT_TRUE(answer.get());
  }
}

TEST_P(StoreTest, WhatItKnowsNeedsNoControlThread) {
  start_both();
  const TinyImage image(kName, "some layer");
  import_image(image);
  ASSERT_TRUE(eventually([&] { return holds(image); }));
  asio::io_context caller;  // the store's own doesn't run meanwhile
  const auto blob = test::run(caller, store_->open(image.layer_digest()));
  ASSERT_TRUE(blob) << blob.error().message();
  EXPECT_EQ(blob->size, image.layer.size());
  const auto sources = test::run(caller, store_->sources(test::digest_of("nobody has this")));
  EXPECT_EQ(sources.error(), Errc::not_found);
  daemon_->stop();
  ASSERT_TRUE(eventually([&] { return !store_->state().connected; }));
  EXPECT_EQ(test::run(caller, store_->open(test::digest_of("nobody has this"))).error(),
            Errc::unavailable);
}

/// CPU time of this thread: what other processes do doesn't count.
Duration own_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

/// Of one line only: making so many images takes containerd a while.
class CrowdedStoreTest : public StoreTest {};

TEST_P(CrowdedStoreTest, ManyImagesDoNotHoldTheThreadUp) {
  // 10,000 took 34 s to import, and 6 ms the longest turn.
  constexpr std::size_t kImages = 4'000;
  daemon_->start();
  const auto archive = daemon_->folder() / "image.tar";
  const TinyImage image(kName, "some layer");
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kImages; ++i) {
    names.push_back("docker.io/library/tiny:" + std::to_string(i));
  }
  image.write_archive(archive, names);
  daemon_->ctr({"images", "import", "--no-unpack", archive});
  start_store();
  Duration longest{};
  const auto end = clock_.now() + 60s;
  while (!store_->state().connected && clock_.now() < end) {
    context_.restart();
    const auto begin = own_time();
    context_.run_one_for(20ms);
    longest = std::max(longest, own_time() - begin);
  }
  EXPECT_EQ(store_->state().images, kImages);
  EXPECT_TRUE(holds(names.back()));
  EXPECT_LT(longest, kLongestTurn) << std::chrono::duration<double>(longest).count() << " s";
  RecordProperty("longest_turn_us", static_cast<int>(longest / 1us));
}

std::string version_name(const testing::TestParamInfo<std::string>& info) {
  auto name = "v" + info.param;
  std::ranges::replace(name, '.', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Containerd, StoreTest, testing::Values("1.6", "1.7", "2.1"), version_name);
INSTANTIATE_TEST_SUITE_P(Containerd, CrowdedStoreTest, testing::Values("1.6"), version_name);

}  // namespace
}  // namespace hagring::containerd
