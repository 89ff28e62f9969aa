/* SPDX-License-Identifier: Apache-2.0 */
/* What tests/bench/load.py calls of the shared library. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct LoadPlan {
  const char* address; /* IPv4, dotted */
  const char* server_name;
  const char* authority_file; /* PEM; NULL: without TLS */
  const char* request;        /* a request's head, whole; of several each with its zero */
  uint16_t port;
  int32_t status;     /* that every answer must have */
  int32_t streams;    /* at the same time, a thread each */
  int32_t requests;   /* of each stream, one after the other */
  int32_t keep_alive; /* else a connection for each */
  int32_t heads;      /* in `request`: they are sent in turn */
} LoadPlan;

typedef struct LoadTotals {
  uint64_t bytes; /* of bodies */
  uint64_t failures;
  uint64_t nanoseconds;
} LoadTotals;

/* Connects `count` times, one after the other; how long connect() took goes to `nanoseconds`.
 * Returns how many succeeded. */
int load_connect(const char* address, uint16_t port, int count, uint64_t* nanoseconds);

/* Connects again and again, 200 µs after each failure, until it succeeds or until the time `until`.
 * Returns when it succeeded, or 0. Times are CLOCK_MONOTONIC's nanoseconds. With `direct` a connect
 * that was led to loopback is a failure, too. */
uint64_t load_first_connect(const char* address, uint16_t port, uint64_t until, int direct);

/* Makes the plan's requests and reads what is answered. The time to each answer's first byte (from
 * the connect, or on a kept connection from the request) goes to `first_bytes`, streams × requests
 * of them. Returns 0, or -1 if the authority can't be read. */
int load_get(const LoadPlan* plan, uint64_t* first_bytes, LoadTotals* totals);

#ifdef __cplusplus
}
#endif
