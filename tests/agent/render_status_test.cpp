// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "userspace/base/unique_fd.hpp"
#include "userspace/cli/status.hpp"

namespace hagring::cli {
namespace {

using testing::HasSubstr;

constexpr const char* kStatus = R"({
  "version": "0.1.0", "pid": 7, "uptime_seconds": 12,
  "listeners": {"mirror_v4": "127.0.0.1:1", "mirror_v6": "[::1]:2", "peer": "[::]:5000"},
  "clients": [{"comm": "containerd", "pid": 42, "socket": "/run/containerd/containerd.sock",
               "cgroup": "/sys/fs/cgroup/x", "intercepted": true, "trust": "trusted",
               "reason": "its handshake with the probe came through",
               "egress_proxies": {"https": "http://proxy.test:3128", "http": null,
                                  "no_proxy": "10.0.0.0/8", "problem": "half of it is left alone"}
               }],
  "store": {"images": 3, "blobs": 9},
  "layers": {"runtime_discards": "yes", "how": "its CRI status says so", "mode": "auto",
             "keeping": true, "images": 2, "bytes": 3145728, "budget_bytes": 10737418240,
             "oldest": "2026-01-01T00:00:00.000Z", "disk_percent": 41, "disk_limit_percent": 80,
             "released": {"over the budget": 3, "too old": 0},
             "last_released": "docker.io/library/nginx, 5 bytes: over the budget"},
  "mesh": {"peer_id": "12D3KooWself", "closed": true, "addresses": ["/ip4/192.0.2.6/tcp/5001"],
           "nodes": [{"peer_id": "12D3KooWother", "addresses": ["/ip4/192.0.2.7/tcp/5001"],
                      "connected": true, "answered_seconds_ago": 4}],
           "provided_keys": 12, "untold_keys": 2, "records": 30, "record_keys": 20},
  "shunned": [{"peer": "192.0.2.8:5000", "state": "banned for 9 s: wrong bytes"}],
  "access": {"rules": 2, "private_repositories": 3, "public_repositories": 4,
             "private_digests": 50, "presumed_digests": 6},
  "origins": {"down": [
    {"server": "registry-1.docker.io:443", "trouble": "unreachable", "reason": "timed out",
     "since": "2026-01-01T00:00:00.000Z", "next_probe_seconds": 3},
    {"server": "quay.io:443", "trouble": "failing", "reason": "it answers 503",
     "since": "2026-01-01T00:00:00.000Z", "next_probe_seconds": null}],
    "limited": [{"server": "ghcr.io:443", "requests": "manifests", "refused": true,
                 "counted_for": "192.0.2.1", "remaining_seconds": 40}]},
  "sources": {"peer": {"requests": 4, "bytes": 70000000}},
  "hedges": {"second_peer_asked": 6},
  "herds": {"now": [{"digest": "sha256:abc", "role": "fetches", "size": 1048576, "pieces": 9,
                     "children": 2}],
            "zone": "eu-west-1a", "upload_limit": "100Mbit/s",
            "coordinated": 3, "spools": 1, "spool_bytes": 1048576, "bytes_in": 0,
            "bytes_out": 65536},
  "names": {"name_servers": ["127.0.0.53", "2001:db8::53"], "queries": 9, "passed_on": 4,
            "answered_by_us": {"silent": 2, "nxdomain": 1}, "told_unreachable": 0,
            "unanswered": 2, "dropped": 0},
  "peer_server": {"requests": 1}, "connections": {"terminated": 2}, "kernel": {"redirected": 5},
  "recent": [{"time": "2026-01-01T00:00:00Z", "status": 200, "kind": "blob", "method": "GET",
              "registry": "docker.io", "repository": "library/nginx", "reference": "sha256:00",
              "bytes": 1536, "source": "peer 192.0.2.7:5000", "duration_ms": 3, "verified": true}]
})";

TEST(RenderStatus, SaysWhatIsPrivate) {
  EXPECT_THAT(render_status(kStatus), HasSubstr("2 rules; 3 repositories known as private, 4 as "
                                                "public; 50 digests marked private, 6 presumed "
                                                "private until their registry is asked"));
}

TEST(RenderStatus, SaysWhoIsInterceptedAndWhereBlobsCameFrom) {
  const auto text = render_status(kStatus);
  EXPECT_THAT(text, HasSubstr("containerd pid 42"));
  EXPECT_THAT(text, HasSubstr("trusted: its handshake with the probe came through"));
  EXPECT_THAT(text, HasSubstr("66.8 MiB"));
  EXPECT_THAT(text, HasSubstr("1.5 KiB from peer 192.0.2.7:5000, 3 ms, verified"));
}

TEST(RenderStatus, SaysByWhichProxiesServersAreReached) {
  const auto text = render_status(kStatus);
  EXPECT_THAT(text,
              HasSubstr("by proxy     https http://proxy.test:3128, http -; not for 10.0.0.0/8\n"
                        "                 half of it is left alone\n"));
}

TEST(RenderStatus, SaysWhoIsInTheMesh) {
  const auto text = render_status(kStatus);
  EXPECT_THAT(text, HasSubstr("Mesh (closed)\n  this node    12D3KooWself\n"));
  EXPECT_THAT(text, HasSubstr("12 keys, of which 2 are yet to be told"));
  EXPECT_THAT(text,
              HasSubstr("12D3KooWother  /ip4/192.0.2.7/tcp/5001  connected, answered 4 s ago"));
  EXPECT_THAT(text, HasSubstr("second_peer_asked            6"));
  EXPECT_THAT(text, HasSubstr("not asked    192.0.2.8:5000: banned for 9 s: wrong bytes"));
}

TEST(RenderStatus, SaysWhatIsSharedWhileItComes) {
  const auto text = render_status(kStatus);
  EXPECT_THAT(text, HasSubstr("Herds\n  1 now, 3 coordinated here; 1 spools of 1.0 MiB\n"));
  EXPECT_THAT(text, HasSubstr("  zone eu-west-1a\n  at most 100Mbit/s to other nodes\n"));
  EXPECT_THAT(text, HasSubstr("sha256:abc  fetches, 9 pieces of 1.0 MiB, 2 children\n"));
}

TEST(RenderStatus, SaysWhichOriginsAreDownOrLimit) {
  const auto text = render_status(kStatus);
  EXPECT_THAT(text, HasSubstr("\nOrigins\n  registry-1.docker.io:443 unreachable since "
                              "2026-01-01T00:00:00.000Z: timed out; probed again in 3 s\n"));
  EXPECT_THAT(text, HasSubstr("  ghcr.io:443 refuses manifests for 40 s, counted for 192.0.2.1\n"));
  EXPECT_THAT(text, HasSubstr("it answers 503; the next request tries it\n"));
}

TEST(RenderStatus, SaysWhatBecameOfNames) {
  const auto text = render_status(kStatus);
  EXPECT_THAT(text, HasSubstr("Names\n  asked        127.0.0.53 2001:db8::53\n"));
  EXPECT_THAT(text,
              HasSubstr("9 queries: 4 answers passed on, 3 of our own (1 nxdomain, 2 silent)"));
}

TEST(RenderStatus, SaysWhatIsKeptOfDiscardedLayers) {
  const auto text = render_status(kStatus);
  EXPECT_THAT(text, HasSubstr("it does so   yes: its CRI status says so\n"));
  EXPECT_THAT(text, HasSubstr("kept         yes: 3.0 MiB of 2 images, of at most 10.0 GiB\n"));
  EXPECT_THAT(text, HasSubstr("disk         41 % used, let go from 80 % on\n"));
  EXPECT_THAT(text, HasSubstr("let go       3: over the budget\n"));
  EXPECT_THAT(text, testing::Not(HasSubstr("too old")));
}

TEST(RenderStatus, RefusesWhatIsNoStatus) {
  EXPECT_THROW(render_status("{}"), std::exception);
  EXPECT_THROW(render_status("<html>"), std::exception);
}

TEST(ShowStatus, NoAgentIsExitCodeThree) {
  EXPECT_EQ(show_status({false, "/nonexistent/hagring.sock"}), 3);
  EXPECT_EQ(show_status({false, "/" + std::string(200, 'x')}), 3);
}

TEST(ShowStatus, DoesNotWaitInTheQueueOfAnAgentThatHangs) {
  const auto path = testing::TempDir() + "hagring-status-" + std::to_string(::getpid()) + ".sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  const auto* where = reinterpret_cast<const sockaddr*>(&address);
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const UniqueFd first(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(listener.get(), where, sizeof(address)), 0);
  ASSERT_EQ(::listen(listener.get(), 0), 0);
  ASSERT_EQ(::connect(first.get(), where, sizeof(address)), 0);
  EXPECT_EQ(show_status({false, path}), 3);
  ::unlink(path.c_str());
}

}  // namespace
}  // namespace hagring::cli
