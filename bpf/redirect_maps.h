/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "redirect_abi.h"

/* Pinned by user space, for people. */

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE); /* a heartbeat is a plain store */
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct config);
} config SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 64);
  __type(key, __u32);
  __type(value, struct client);
} clients SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1024);
  __type(key, struct rule_key);
  __type(value, struct rule);
} rules SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384); /* user space may say otherwise before loading */
  __type(key, struct flow_key);
  __type(value, struct flow);
} flows SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 64);
  __type(key, struct address);
  __type(value, struct name_server);
} name_servers SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct counters);
} counters SEC(".maps");

/* Internal. Storage in sockets goes with them: nothing to expire, no cookie that outlives one. */

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 64);
  __type(key, struct stub_place);
  __type(value, struct address);
} stub_places SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct original);
} originals SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct listener_token);
} listeners SEC(".maps");

/*
 * Counts one outcome on this CPU. A macro with a constant offset: without CAP_PERFMON the verifier
 * refuses a pointer to "the counter that was chosen".
 */
#define COUNT(field)                                                          \
  do {                                                                        \
    __u32 count_zero = 0;                                                     \
    struct counters *count_all = bpf_map_lookup_elem(&counters, &count_zero); \
    if (count_all) count_all->field++;                                        \
    asm volatile("" ::: "memory");                                            \
  } while (0)
