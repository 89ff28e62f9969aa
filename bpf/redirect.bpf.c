// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The hook: connections of one process to registries are led to the mirror on this machine, and
 * what it asks its name servers to the stub.
 * Whatever is missing, late, full or foreign, the connect goes through untouched: every program
 * here returns 1 on every path.
 */
#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "redirect_abi.h"
#include "redirect_decision.h"
#include "redirect_maps.h"
#include "redirect_text.h"

#define PROCEED 1

static __always_inline int redirects(struct bpf_sock_addr *ctx, const struct destination *to,
                                     struct address *mirror, __u32 *port) {
  const struct name_server *server;
  struct bpf_sock *sk = ctx->sk;
  int yes = 0;

  if (!sk || (ctx->protocol != IPPROTO_TCP && ctx->protocol != IPPROTO_UDP)) {
    COUNT(passed_not_tcp);
    return 0;
  }
  server = stub_for(to);
  if (server)
    yes = decide_names(ctx, sk, to, server, mirror, port);
  else if (ctx->protocol == IPPROTO_TCP)
    yes = decide(ctx, sk, to, mirror, port);
  else if (to->port == HAGRING_DNS_PORT)
    COUNT(passed_other_name_server);
  else
    COUNT(passed_not_tcp);
  /* Redirected once, then disconnected with AF_UNSPEC and now passed: not a flow any more. */
  if (!yes) bpf_sk_storage_delete(&originals, sk);
  return yes;
}

SEC("cgroup/connect4")
int hagring_connect4(struct bpf_sock_addr *ctx) {
  struct destination to = {.family = ipv4, .port = bpf_ntohs(ctx->user_port)};
  struct address mirror = {};
  __u32 port = 0;

  set_ipv4(&to.address, ctx->user_ip4);
  if (redirects(ctx, &to, &mirror, &port)) {
    ctx->user_ip4 = mirror.words[3];
    ctx->user_port = bpf_htons(port);
  }
  return PROCEED;
}

static __always_inline void read_ipv6(struct bpf_sock_addr *ctx, struct address *into) {
  into->words[0] = ctx->user_ip6[0];
  into->words[1] = ctx->user_ip6[1];
  into->words[2] = ctx->user_ip6[2];
  into->words[3] = ctx->user_ip6[3];
}

static __always_inline void write_ipv6(struct bpf_sock_addr *ctx, const struct address *from) {
  ctx->user_ip6[0] = from->words[0];
  ctx->user_ip6[1] = from->words[1];
  ctx->user_ip6[2] = from->words[2];
  ctx->user_ip6[3] = from->words[3];
}

SEC("cgroup/connect6")
int hagring_connect6(struct bpf_sock_addr *ctx) {
  struct destination to = {.family = ipv6, .port = bpf_ntohs(ctx->user_port)};
  struct address mirror = {};
  __u32 port = 0;

  read_ipv6(ctx, &to.address);
  if (!to.address.words[0] && !to.address.words[1] && to.address.words[2] == MAPPED_WORD)
    to.family = ipv4; /* the mirror's IPv4 listener, as ::ffff:127.0.0.1 */
  if (redirects(ctx, &to, &mirror, &port)) {
    write_ipv6(ctx, &mirror);
    ctx->user_port = bpf_htons(port);
  }
  return PROCEED;
}

/* Resolvers with one socket for several servers don't connect it. */
SEC("cgroup/sendmsg4")
int hagring_sendmsg4(struct bpf_sock_addr *ctx) {
  struct destination to = {.family = ipv4, .port = bpf_ntohs(ctx->user_port)};
  struct address stub = {};
  __u32 port = 0;

  set_ipv4(&to.address, ctx->user_ip4);
  if (decide_datagram(ctx, &to, &stub, &port)) {
    ctx->user_ip4 = stub.words[3];
    ctx->user_port = bpf_htons(port);
  }
  return PROCEED;
}

/* Never ::ffff:a.b.c.d: the kernel gives that to sendmsg4 (net/ipv6/udp.c, udpv6_sendmsg). */
SEC("cgroup/sendmsg6")
int hagring_sendmsg6(struct bpf_sock_addr *ctx) {
  struct destination to = {.family = ipv6, .port = bpf_ntohs(ctx->user_port)};
  struct address stub = {};
  __u32 port = 0;

  read_ipv6(ctx, &to.address);
  if (decide_datagram(ctx, &to, &stub, &port)) {
    write_ipv6(ctx, &stub);
    ctx->user_port = bpf_htons(port);
  }
  return PROCEED;
}

/* Whose name a datagram from `from` goes under: resolvers compare it with whom they have asked. */
static __always_inline const struct address *server_behind(const struct address *from, __u32 port) {
  struct stub_place place = {.address = *from, .port = port};

  return bpf_map_lookup_elem(&stub_places, &place);
}

SEC("cgroup/recvmsg4")
int hagring_recvmsg4(struct bpf_sock_addr *ctx) {
  const struct address *server;
  struct address from = {};

  set_ipv4(&from, ctx->user_ip4);
  server = server_behind(&from, bpf_ntohs(ctx->user_port));
  if (server) {
    ctx->user_ip4 = server->words[3];
    ctx->user_port = bpf_htons(HAGRING_DNS_PORT);
  }
  return PROCEED;
}

SEC("cgroup/recvmsg6")
int hagring_recvmsg6(struct bpf_sock_addr *ctx) {
  const struct address *server;
  struct address from = {};

  read_ipv6(ctx, &from);
  server = server_behind(&from, bpf_ntohs(ctx->user_port));
  if (server) {
    write_ipv6(ctx, server);
    ctx->user_port = bpf_htons(HAGRING_DNS_PORT);
  }
  return PROCEED;
}

/*
 * The context's fields, each read by itself: clang would merge the branches' accesses into one
 * through a computed pointer, and the verifier refuses "dereference of modified ctx ptr".
 */
#define READ(field)                      \
  ({                                     \
    __u32 read_value = (field);          \
    asm volatile("" : "+r"(read_value)); \
    read_value;                          \
  })

static __always_inline void read_ends(struct bpf_sock_ops *ctx, enum address_family family,
                                      struct address *local, struct address *remote) {
  if (family == ipv4) {
    set_ipv4(local, READ(ctx->local_ip4));
    set_ipv4(remote, READ(ctx->remote_ip4));
    return;
  }
  local->words[0] = READ(ctx->local_ip6[0]);
  local->words[1] = READ(ctx->local_ip6[1]);
  local->words[2] = READ(ctx->local_ip6[2]);
  local->words[3] = READ(ctx->local_ip6[3]);
  remote->words[0] = READ(ctx->remote_ip6[0]);
  remote->words[1] = READ(ctx->remote_ip6[1]);
  remote->words[2] = READ(ctx->remote_ip6[2]);
  remote->words[3] = READ(ctx->remote_ip6[3]);
}

static __always_inline int write_flow(struct bpf_sock_ops *ctx, const struct original *original) {
  struct flow flow = {
      .original_port = original->port,
      .state = open,
      .client_tgid = original->tgid,
      .client_port = original->flow.client_port,
      .opened_monotonic_ns = bpf_ktime_get_ns(),
      .socket_cookie = bpf_get_socket_cookie(ctx),
      .family = original->family,
      .mirror_port = original->flow.mirror_port,
      .original_binary = original->address,
  };
  struct flow_key key = original->flow;

  write_address_text(flow.original_address, original->family, &original->address);
  write_address_text(flow.client_address, original->family, &original->flow.client_address);
  __builtin_memcpy(flow.client_comm, original->comm, sizeof(flow.client_comm));
  return bpf_map_update_elem(&flows, &key, &flow, BPF_ANY) == 0;
}

/* Before the SYN, when the client's port is known: so that TCP Fast Open is covered too. */
static __always_inline void record_flow(struct bpf_sock_ops *ctx) {
  struct bpf_sock *sk = ctx->sk;
  struct original *original;
  struct address remote;

  if (!sk) return;
  original = bpf_sk_storage_get(&originals, sk, NULL, 0);
  if (!original) return;
  read_ends(ctx, original->family, &original->flow.client_address, &remote);
  original->flow.client_port = READ(ctx->local_port);
  /* A hook that ran after ours may have sent the connection elsewhere. */
  if (!equal(&remote, &original->mirror) ||
      bpf_ntohl(READ(ctx->remote_port)) != original->flow.mirror_port ||
      !write_flow(ctx, original)) {
    COUNT(flows_not_recorded);
    return;
  }
  original->flow_recorded = 1;
  bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
  COUNT(flows_recorded);
}

/* The port may have a new owner already: only the flow of this very socket is closed. */
static __always_inline void close_flow(struct bpf_sock_ops *ctx) {
  struct bpf_sock *sk = ctx->sk;
  struct original *original;
  struct flow_key key;
  struct flow *flow;

  if (!sk) return;
  original = bpf_sk_storage_get(&originals, sk, NULL, 0);
  if (!original || !original->flow_recorded) return;
  key = original->flow;
  flow = bpf_map_lookup_elem(&flows, &key);
  if (flow && flow->socket_cookie == bpf_get_socket_cookie(ctx)) flow->state = closed;
  original->flow_recorded = 0;
}

SEC("sockops")
int hagring_sockops(struct bpf_sock_ops *ctx) {
  if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB)
    record_flow(ctx);
  else if (ctx->op == BPF_SOCK_OPS_STATE_CB && ctx->args[1] == BPF_TCP_CLOSE)
    close_flow(ctx);
  return PROCEED;
}

/* The client's idea of its peer: what it had asked for. Programs check it (cilium#9974). */
static __always_inline struct original *shown_instead(struct bpf_sock_addr *ctx,
                                                      const struct address *peer) {
  struct bpf_sock *sk = ctx->sk;
  struct original *original;

  if (!sk) return NULL;
  original = bpf_sk_storage_get(&originals, sk, NULL, 0);
  if (!original || original->flow.mirror_port != bpf_ntohs(ctx->user_port) ||
      !equal(&original->mirror, peer))
    return NULL;
  return original;
}

SEC("cgroup/getpeername4")
int hagring_getpeername4(struct bpf_sock_addr *ctx) {
  struct original *original;
  struct address peer;

  set_ipv4(&peer, ctx->user_ip4);
  original = shown_instead(ctx, &peer);
  if (original) {
    ctx->user_ip4 = original->address.words[3];
    ctx->user_port = bpf_htons(original->port);
  }
  return PROCEED;
}

SEC("cgroup/getpeername6")
int hagring_getpeername6(struct bpf_sock_addr *ctx) {
  struct original *original;
  struct address peer;

  read_ipv6(ctx, &peer);
  original = shown_instead(ctx, &peer);
  if (original) {
    write_ipv6(ctx, &original->address);
    ctx->user_port = bpf_htons(original->port);
  }
  return PROCEED;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
