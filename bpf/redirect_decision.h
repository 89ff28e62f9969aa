/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Whether a connect() is led to the mirror or the stub. Every "no" is counted by its reason. */
#pragma once

#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "redirect_abi.h"
#include "redirect_maps.h"

#define MAPPED_WORD bpf_htonl(0x0000ffff) /* third word of ::ffff:a.b.c.d */
#define EXACT_PREFIX_BITS (8 * (sizeof(struct rule_key) - sizeof(__u32)))

/* Where a client wants to go. */
struct destination {
  struct address address;
  enum address_family family; /* of the packets: ipv4 for ::ffff:a.b.c.d too */
  __u32 port;                 /* host order */
};

/* Whether user space can ask for a socket's netns cookie (Linux 5.14); else all keys have 0. */
const volatile __u32 netns_cookie_known = 1;

static __always_inline void set_ipv4(struct address *address, __be32 ipv4_address) {
  address->words[0] = 0;
  address->words[1] = 0;
  address->words[2] = MAPPED_WORD;
  address->words[3] = ipv4_address;
}

static __always_inline int equal(const struct address *a, const struct address *b) {
  return a->words[0] == b->words[0] && a->words[1] == b->words[1] && a->words[2] == b->words[2] &&
         a->words[3] == b->words[3];
}

static __always_inline int is_loopback(const struct destination *to) {
  const __be32 *words = to->address.words;

  if (to->family == ipv4) return bpf_ntohl(words[3]) >> 24 == 127;
  return !words[0] && !words[1] && !words[2] && words[3] == bpf_htonl(1);
}

/*
 * What the best rule for `key` is worth: 0 for no rule, more for a longer prefix, odd for `leave`,
 * which wins between equals. (Numbers, because the verifier takes no comparison of pointers.)
 */
static __always_inline __u32 rank(const struct rule_key *key) {
  const struct rule *rule = bpf_map_lookup_elem(&rules, key);

  if (!rule) return 0;
  return (rule->prefix_bits + 1) * 2 + (rule->action == redirect ? 0 : 1);
}

/*
 * The rank of a rule that redirects one address: all that a loopback destination heeds, and only
 * with its port (a local egress proxy). No range takes loopback in.
 */
#define NAMED_RANK(family) (((family) == ipv4 ? 32 + 1 : 128 + 1) * 2)

static __always_inline int wanted(const struct destination *to) {
  struct rule_key key = {
      .matched_bits = EXACT_PREFIX_BITS,
      .family = to->family,
      .port = to->port,
      .address = to->address,
  };
  __u32 best, other;

  best = rank(&key);
  if (is_loopback(to)) {
    if (best == NAMED_RANK(to->family)) return 1;
    COUNT(passed_loopback);
    return 0;
  }
  key.port = HAGRING_ANY_PORT;
  other = rank(&key);
  if (other > best) best = other;
  if (!best) {
    COUNT(passed_no_rule);
    return 0;
  }
  if (best & 1) {
    COUNT(passed_rule_says_leave);
    return 0;
  }
  return 1;
}

/*
 * Whether this task's connections are ours to lead. The tgid is that of the initial pid namespace;
 * an agent elsewhere can't know it and enters HAGRING_ANY_TASK.
 */
static __always_inline const struct client *find_client(__u32 tgid) {
  __u32 any_task = HAGRING_ANY_TASK;
  const struct client *client = bpf_map_lookup_elem(&clients, &tgid);

  if (!client) client = bpf_map_lookup_elem(&clients, &any_task);
  if (!client || client->policy != redirected) {
    COUNT(passed_other_process);
    return NULL;
  }
  return client;
}

static __always_inline int agent_is_alive(const struct config *now_configured) {
  __u64 beat = *(const volatile __u64 *)&now_configured->heartbeat_monotonic_ns;
  __u64 now = bpf_ktime_get_ns();

  /* Another CPU's beat may be newer than `now`. */
  if (now > beat && now - beat > now_configured->heartbeat_timeout_ns) {
    COUNT(passed_stale_heartbeat);
    return 0;
  }
  return 1;
}

/* Whether `found` is a socket of the agent's that takes what is new; releases it. */
static __always_inline int is_ours(struct bpf_sock *found, __u32 state, __u32 port) {
  struct listener_token *token;
  int ours = 0;

  if (!found) {
    COUNT(passed_no_listener);
    return 0;
  }
  if (found->state == state) {
    token = bpf_sk_storage_get(&listeners, found, NULL, 0);
    ours = token && token->port == port;
  }
  bpf_sk_release(found);
  if (!ours) COUNT(passed_foreign_listener);
  return ours;
}

/*
 * Whether the agent itself listens at `tuple`, in the client's network namespace. A listener of
 * somebody else can be found there, on 0.0.0.0 or after the agent's death: only ours has the token.
 */
static __always_inline int agent_listens(struct bpf_sock_addr *ctx, struct bpf_sock_tuple *tuple,
                                         __u32 tuple_size, __u32 port) {
  return is_ours(bpf_sk_lookup_tcp(ctx, tuple, tuple_size, BPF_F_CURRENT_NETNS, 0), BPF_TCP_LISTEN,
                 port);
}

/* The same for datagrams: unconnected UDP sockets are in state CLOSE (net/ipv4/udp.c). */
static __always_inline int agent_receives(struct bpf_sock_addr *ctx, struct bpf_sock_tuple *tuple,
                                          __u32 tuple_size, __u32 port) {
  return is_ours(bpf_sk_lookup_udp(ctx, tuple, tuple_size, BPF_F_CURRENT_NETNS, 0), BPF_TCP_CLOSE,
                 port);
}

/* Fills the end of `tuple` that is listened on; the size that lookups want. */
static __always_inline __u32 set_listening_end(struct bpf_sock_tuple *tuple,
                                               enum address_family family,
                                               const struct address *address, __u32 port) {
  if (family == ipv4) {
    tuple->ipv4.daddr = address->words[3];
    tuple->ipv4.dport = bpf_htons(port);
    return sizeof(tuple->ipv4);
  }
  __builtin_memcpy(tuple->ipv6.daddr, address->words, sizeof(tuple->ipv6.daddr));
  tuple->ipv6.dport = bpf_htons(port);
  return sizeof(tuple->ipv6);
}

static __always_inline int find_mirror(struct bpf_sock_addr *ctx, enum address_family family,
                                       struct address *mirror, __u32 *port) {
  struct bpf_sock_tuple tuple = {};
  const struct config *configured;
  __u32 zero = 0, tuple_size;

  configured = bpf_map_lookup_elem(&config, &zero);
  if (!configured || !agent_is_alive(configured)) return 0;
  if (family == ipv4) {
    *port = configured->mirror_ipv4_port;
    set_ipv4(mirror, configured->mirror_ipv4_binary);
  } else {
    /* Never ::ffff:127.0.0.1: sockets with IPV6_V6ONLY get ENETUNREACH there. */
    *port = configured->mirror_ipv6_port;
    *mirror = configured->mirror_ipv6_binary;
  }
  if (!*port) {
    COUNT(passed_no_listener);
    return 0;
  }
  tuple_size = set_listening_end(&tuple, family, mirror, *port);
  return agent_listens(ctx, &tuple, tuple_size, *port);
}

static __always_inline int remember(struct bpf_sock_addr *ctx, struct bpf_sock *sk,
                                    const struct destination *to, const struct address *mirror,
                                    __u32 mirror_port, const struct client *client) {
  struct original *original;

  original = bpf_sk_storage_get(&originals, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
  if (!original) {
    COUNT(passed_no_memory);
    return 0;
  }
  original->flow.netns_cookie = netns_cookie_known ? bpf_get_netns_cookie(ctx) : 0;
  original->flow.mirror_port = mirror_port;
  original->flow_recorded = 0;
  original->address = to->address;
  original->mirror = *mirror;
  original->port = to->port;
  original->family = to->family;
  original->tgid = bpf_get_current_pid_tgid() >> 32;
  /* Not bpf_get_current_comm: it needs CAP_PERFMON here. */
  __builtin_memcpy(original->comm, client->comm, sizeof(original->comm));
  return 1;
}

/* Whether this task's socket is one of a client's that can be led to loopback; whose, if so. */
static __always_inline const struct client *leadable(struct bpf_sock *sk) {
  const struct client *client = find_client(bpf_get_current_pid_tgid() >> 32);

  if (!client) return NULL;
  if (sk->bound_dev_if) {
    /* Bound to eth0 or a VRF, a SYN to loopback would never arrive. */
    COUNT(passed_bound_device);
    return NULL;
  }
  return client;
}

/* The decision, cheapest test first. Fills `mirror` and `port` (host order) if it is yes. */
static __always_inline int decide(struct bpf_sock_addr *ctx, struct bpf_sock *sk,
                                  const struct destination *to, struct address *mirror,
                                  __u32 *port) {
  const struct client *client;

  if (!wanted(to)) return 0;
  client = leadable(sk);
  if (!client) return 0;
  if (!find_mirror(ctx, to->family, mirror, port) || !remember(ctx, sk, to, mirror, *port, client))
    return 0;
  COUNT(redirected);
  return 1;
}

/* The stub for name server `to`; loopback ones are asked like any other. */
static __always_inline const struct name_server *stub_for(const struct destination *to) {
  struct address key = to->address;

  if (to->port != HAGRING_DNS_PORT) return NULL;
  return bpf_map_lookup_elem(&name_servers, &key);
}

/* The decision for a client that is about to ask a name server that has a stub; the client, if it
 * is yes. */
static __always_inline const struct client *decide_stub(struct bpf_sock_addr *ctx,
                                                        struct bpf_sock *sk,
                                                        const struct destination *to,
                                                        const struct name_server *server,
                                                        struct address *stub, __u32 *port) {
  struct bpf_sock_tuple tuple = {};
  const struct config *configured;
  const struct client *client;
  __u32 zero = 0, tuple_size;

  client = leadable(sk);
  if (!client) return NULL;
  configured = bpf_map_lookup_elem(&config, &zero);
  if (!configured || !agent_is_alive(configured)) return NULL;
  *stub = server->stub_binary;
  if (ctx->protocol == IPPROTO_TCP) {
    *port = server->stub_tcp_port;
    tuple_size = set_listening_end(&tuple, to->family, stub, *port);
    if (!agent_listens(ctx, &tuple, tuple_size, *port)) return NULL;
  } else {
    *port = server->stub_udp_port;
    tuple_size = set_listening_end(&tuple, to->family, stub, *port);
    if (!agent_receives(ctx, &tuple, tuple_size, *port)) return NULL;
  }
  return client;
}

/* A socket that is connected to a name server. */
static __always_inline int decide_names(struct bpf_sock_addr *ctx, struct bpf_sock *sk,
                                        const struct destination *to,
                                        const struct name_server *server, struct address *stub,
                                        __u32 *port) {
  const struct client *client = decide_stub(ctx, sk, to, server, stub, port);

  if (!client || !remember(ctx, sk, to, stub, *port, client)) return 0;
  COUNT(names_redirected);
  return 1;
}

/* A datagram to a name server from a socket that isn't connected: nothing to remember. */
static __always_inline int decide_datagram(struct bpf_sock_addr *ctx, const struct destination *to,
                                           struct address *stub, __u32 *port) {
  const struct name_server *server;
  struct bpf_sock *sk = ctx->sk;

  if (to->port != HAGRING_DNS_PORT || !sk) return 0;
  server = stub_for(to);
  if (!server) {
    COUNT(passed_other_name_server);
    return 0;
  }
  if (!decide_stub(ctx, sk, to, server, stub, port)) return 0;
  COUNT(names_redirected);
  return 1;
}
