/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Addresses as text. bpf_snprintf would need CAP_PERFMON and Linux 5.13, and user space writing
 * the text after accept would race with the reuse of the port: so by hand.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "redirect_abi.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "text is put together in registers of a little-endian machine"
#endif

/*
 * Sixteen characters in two registers, the first in the lowest byte. Filled from the last character
 * to the first, so that no offset depends on the number of digits (the verifier refuses variable
 * offsets into the stack without CAP_PERFMON).
 */
struct text16 {
  __u64 low;
  __u64 high;
};

static __always_inline void put_before(struct text16 *text, __u64 character) {
  text->high = text->high << 8 | text->low >> 56;
  text->low = text->low << 8 | character;
}

static __always_inline void put_octet_before(struct text16 *text, __u32 octet) {
  put_before(text, '0' + octet % 10);
  if (octet >= 10) put_before(text, '0' + octet / 10 % 10);
  if (octet >= 100) put_before(text, '0' + octet / 100);
}

/* The digits of `address` (host order) as a.b.c.d. */
static __always_inline void write_ipv4_text(char *into, __u32 address) {
  struct text16 text = {};

  put_octet_before(&text, address & 0xff);
  put_before(&text, '.');
  put_octet_before(&text, address >> 8 & 0xff);
  put_before(&text, '.');
  put_octet_before(&text, address >> 16 & 0xff);
  put_before(&text, '.');
  put_octet_before(&text, address >> 24);
  ((__u64 *)into)[0] = text.low;
  ((__u64 *)into)[1] = text.high;
}

static __always_inline char hex_digit(__u32 nibble) {
  /* Without a branch: (nibble + 6) >> 4 is 1 from ten on. */
  return '0' + nibble + ((nibble + 6) >> 4) * ('a' - '0' - 10);
}

static __always_inline void write_group_text(char *into, __u32 group) {
  into[0] = hex_digit(group >> 12 & 0xf);
  into[1] = hex_digit(group >> 8 & 0xf);
  into[2] = hex_digit(group >> 4 & 0xf);
  into[3] = hex_digit(group & 0xf);
}

/* Eight groups of four digits: fixed positions again. */
static __always_inline void write_ipv6_text(char *into, const struct address *address) {
#pragma unroll
  for (int i = 0; i < 4; i++) {
    __u32 word = bpf_ntohl(address->words[i]);

    write_group_text(into + i * 10, word >> 16);
    into[i * 10 + 4] = ':';
    write_group_text(into + i * 10 + 5, word & 0xffff);
    if (i < 3) into[i * 10 + 9] = ':';
  }
}

/* `into`: HAGRING_ADDRESS_TEXT_SIZE zeroed bytes, aligned to eight. */
static __always_inline void write_address_text(char *into, enum address_family family,
                                               const struct address *address) {
  if (family == ipv4)
    write_ipv4_text(into, bpf_ntohl(address->words[3]));
  else
    write_ipv6_text(into, address);
}
