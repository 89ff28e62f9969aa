/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the hook and user space share: the contents of the maps. Compiled as BPF C and as C++, so
 * that there is one truth. People read these names too, in
 *   bpftool map dump pinned
 *     /sys/fs/bpf/hagring/<config|clients|rules|flows|name_servers|counters>
 * which is why there is text beside binary addresses (binary last) and why ports are in host order.
 *
 * No implicit padding anywhere: keys are compared byte by byte.
 */
#pragma once

#include <linux/types.h>

#ifdef __cplusplus
namespace hagring::abi {
#define HAGRING_ABI_ASSERT static_assert
#else
#define HAGRING_ABI_ASSERT _Static_assert
#endif

#define HAGRING_COMM_SIZE 16         /* TASK_COMM_LEN */
#define HAGRING_IPV4_TEXT_SIZE 16    /* "255.255.255.255" and NUL */
#define HAGRING_ADDRESS_TEXT_SIZE 40 /* eight groups of four digits, seven colons, NUL */
#define HAGRING_PREFIX_TEXT_SIZE 48  /* an address, "/128" and NUL */
#define HAGRING_CGROUP_TEXT_SIZE 128 /* the end of the path, if it is longer */
#define HAGRING_ANY_TASK 0           /* key in `clients`: any task of the cgroup */
#define HAGRING_ANY_PORT 0           /* port in `rules`: any port */
#define HAGRING_DNS_PORT 53

enum address_family {
  ipv4 = 4,
  ipv6 = 6,
};

/* An address of either family; IPv4 as ::ffff:a.b.c.d. Network byte order. */
struct address {
  __be32 words[4];
};
HAGRING_ABI_ASSERT(sizeof(struct address) == 16, "address");

/* Map `config`: one entry, mapped into the agent's memory. */
struct config {
  __u64 heartbeat_monotonic_ns; /* when the agent last said that it lives; CLOCK_MONOTONIC */
  __u64 heartbeat_timeout_ns;   /* an older heartbeat stops redirection */
  char mirror_ipv4[HAGRING_IPV4_TEXT_SIZE];
  char mirror_ipv6[HAGRING_ADDRESS_TEXT_SIZE];
  __u32 mirror_ipv4_port; /* host order; 0: no listener */
  __u32 mirror_ipv6_port; /* host order; 0: no listener */
  __u32 agent_pid;        /* as the agent sees itself */
  __be32 mirror_ipv4_binary;
  struct address mirror_ipv6_binary;
};
HAGRING_ABI_ASSERT(sizeof(struct config) == 104, "config");

enum client_policy {
  left_alone = 0,
  redirected = 1,
};

/* Map `clients`: tgid in the initial pid namespace, or HAGRING_ANY_TASK, to what is known of it. */
struct client {
  char comm[HAGRING_COMM_SIZE];
  enum client_policy policy;
  __u32 pid; /* as the agent sees it */
  __u64 cgroup_id;
  char cgroup[HAGRING_CGROUP_TEXT_SIZE];
};
HAGRING_ABI_ASSERT(sizeof(struct client) == 160, "client");

/*
 * Map `rules`: a trie over family, port and address. The two lookups of a connect (its port, any
 * port) may both find a rule: the longer prefix wins, and of equal ones `leave`.
 */
struct rule_key {
  __u32 matched_bits; /* 64 for family and port, and the prefix's in the 128-bit form */
  enum address_family family;
  __u32 port; /* host order; HAGRING_ANY_PORT */
  struct address address;
};
HAGRING_ABI_ASSERT(sizeof(struct rule_key) == 28, "rule_key");

enum rule_action {
  leave = 0,
  redirect = 1,
};

struct rule {
  char destination[HAGRING_PREFIX_TEXT_SIZE];
  __u32 port; /* host order; HAGRING_ANY_PORT */
  __u32 prefix_bits;
  enum rule_action action;
};
HAGRING_ABI_ASSERT(sizeof(struct rule) == 60, "rule");

/*
 * Map `flows`: a connection as the mirror sees it when it accepts. Ports repeat across source
 * addresses, listeners and network namespaces, hence all four.
 */
struct flow_key {
  __u64 netns_cookie; /* 0 where user space can't ask for it (before Linux 5.14) */
  struct address client_address;
  __u32 client_port; /* host order */
  __u32 mirror_port; /* host order */
};
HAGRING_ABI_ASSERT(sizeof(struct flow_key) == 32, "flow_key");

enum flow_state {
  closed = 0,
  open = 1,
};

struct flow {
  char original_address[HAGRING_ADDRESS_TEXT_SIZE];
  __u32 original_port; /* host order */
  enum flow_state state;
  char client_comm[HAGRING_COMM_SIZE];
  __u32 client_tgid;
  __u32 client_port; /* host order */
  char client_address[HAGRING_ADDRESS_TEXT_SIZE];
  __u64 opened_monotonic_ns;
  __u64 socket_cookie; /* the client's socket */
  enum address_family family;
  __u32 mirror_port; /* host order */
  struct address original_binary;
};
HAGRING_ABI_ASSERT(sizeof(struct flow) == 152, "flow");

/*
 * Map `name_servers`: a name server's address to the agent's stub for it. Each has ports of its own
 * on loopback: by them the stub knows who was asked, since a UDP socket has no port yet when it is
 * connected, and no event after that names it. Servers that aren't here are asked directly.
 */
struct name_server {
  char name_server[HAGRING_ADDRESS_TEXT_SIZE];
  char stub[HAGRING_ADDRESS_TEXT_SIZE];
  __u32 stub_udp_port; /* host order */
  __u32 stub_tcp_port; /* host order */
  struct address stub_binary;
};
HAGRING_ABI_ASSERT(sizeof(struct name_server) == 104, "name_server");

/* Internal: a stub's UDP address, to the server whose name its replies go under. */
struct stub_place {
  struct address address;
  __u32 port; /* host order */
};
HAGRING_ABI_ASSERT(sizeof(struct stub_place) == 20, "stub_place");

/*
 * Map `counters`, one entry per CPU: what became of each connect() that the hook saw, and of each
 * datagram to port 53 from a socket that isn't connected.
 */
struct counters {
  __u64 redirected;
  __u64 names_redirected; /* to the stub: UDP and TCP */
  __u64 passed_not_tcp;
  __u64 passed_other_name_server; /* UDP to port 53 of an address that has no stub */
  __u64 passed_loopback;
  __u64 passed_no_rule;
  __u64 passed_rule_says_leave;
  __u64 passed_other_process;
  __u64 passed_bound_device;
  __u64 passed_stale_heartbeat;
  __u64 passed_no_listener;      /* no address configured, or nobody listens in that netns */
  __u64 passed_foreign_listener; /* somebody else listens on the mirror's port */
  __u64 passed_no_memory;        /* the original destination could not be remembered */
  __u64 flows_recorded;
  __u64 flows_not_recorded; /* redirected, but the mirror can't learn where to */
};
HAGRING_ABI_ASSERT(sizeof(struct counters) == 15 * 8, "counters");

/*
 * Internal: what the hook remembers in the client's socket, from connect() until it is closed or
 * connects to something else.
 */
struct original {
  struct flow_key flow;   /* client address and port are known at the SYN only */
  struct address address; /* where the client wanted to go */
  struct address mirror;  /* what was written in its place */
  __u32 port;             /* host order */
  enum address_family family;
  __u32 tgid;
  __u32 flow_recorded;
  char comm[HAGRING_COMM_SIZE];
};
HAGRING_ABI_ASSERT(sizeof(struct original) == 96, "original");

/* Internal: marks the agent's own sockets that are redirected to: the mirror's and the stub's. */
struct listener_token {
  __u32 port; /* host order */
};

#ifdef __cplusplus
}  // namespace hagring::abi
#endif
