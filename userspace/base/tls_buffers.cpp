// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/tls_buffers.hpp"

#include <openssl/bio.h>

#include <algorithm>
#include <cstring>

namespace hagring {
namespace {

/// What is asked of the stream below at a time: at first and while little comes, so that a
/// connection that rests costs little, and at most.
constexpr std::size_t kLeastRead = std::size_t{4} * 1024;
constexpr std::size_t kMostRead = std::size_t{64} * 1024;
/// Threat: a peer that makes us answer (warnings, for example) and never reads.
constexpr std::size_t kMaxUnsent = std::size_t{1} << 20;

int bio_read(BIO* bio, char* into, std::size_t size, std::size_t* done) {
  auto& buffers = *static_cast<TlsBuffers*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  *done = std::min(size, buffers.in_end - buffers.in_begin);
  if (*done == 0) {
    buffers.missing = size;
    BIO_set_retry_read(bio);
    return 0;
  }
  std::memcpy(into, buffers.in.get() + buffers.in_begin, *done);
  buffers.in_begin += *done;
  return 1;
}

int bio_write(BIO* bio, const char* from, std::size_t size, std::size_t* done) {
  auto& out = static_cast<TlsBuffers*>(BIO_get_data(bio))->out;
  BIO_clear_retry_flags(bio);
  *done = 0;
  if (out.size() + size > kMaxUnsent) return 0;
  out.insert(out.end(), from, from + size);
  *done = size;
  return 1;
}

long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

/// The BIO over TlsBuffers; OpenSSL wants the table made at run time.
const BIO_METHOD* bio_method() {
  static BIO_METHOD* const method = [] {
    auto* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "hagring buffers");
    BIO_meth_set_read_ex(made, bio_read);
    BIO_meth_set_write_ex(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return method;
}

}  // namespace

void TlsBuffers::begin_with(ByteView read_ahead) {
  in_capacity = std::max(kLeastRead, read_ahead.size());
  in = std::make_unique_for_overwrite<std::uint8_t[]>(in_capacity);
  std::copy(read_ahead.begin(), read_ahead.end(), in.get());
  in_end = read_ahead.size();
}

void TlsBuffers::fit_reads() {
  auto capacity = in_capacity;
  if (in_end == capacity) capacity = std::min(2 * capacity, std::max(kMostRead, capacity));
  if (in_end < capacity / 8) capacity = kLeastRead;
  if (capacity == in_capacity) return;
  in = std::make_unique_for_overwrite<std::uint8_t[]>(capacity);
  in_capacity = capacity;
}

void TlsBuffers::fit_writes(std::size_t size) {
  if (size < out.capacity() / 8) out = Bytes();
}

void TlsBuffers::attach_to(SSL* ssl) {
  auto* bio = BIO_new(bio_method());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
}

}  // namespace hagring
