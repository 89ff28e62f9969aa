// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/tls_stream.hpp"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <optional>

#include "userspace/base/task_group.hpp"
#include "userspace/base/tls_buffers.hpp"

namespace hagring {
namespace {

/// Plain text that is encrypted before a send: sixteen records of TLS's greatest size.
constexpr std::size_t kSendSize = std::size_t{256} * 1024;

}  // namespace

struct TlsStream::State {
  struct Free {
    void operator()(SSL* pointer) const noexcept { SSL_free(pointer); }
  };

  State(SSL* session, std::unique_ptr<ByteStream> stream, ByteView read_ahead);
  awaitable<Result<void>> fill();
  void wake_when_of_use();
  awaitable<Result<void>> flush();
  awaitable<Result<void>> flush_unless_flushing();
  /// Decrypts what has arrived. Zero means that more must arrive.
  std::size_t decrypt(MutableBytes into);
  error_code fail(int ssl_error);
  void wake() {
    if (flushed) flushed->cancel();
  }

  std::unique_ptr<SSL, Free> ssl;
  std::unique_ptr<ByteStream> below;
  TlsBuffers buffers;
  std::size_t wakes_at = 1;  ///< bytes that the kernel waits for
  Bytes sending;             ///< being written below, while `buffers.out` fills again
  bool flushing = false;
  std::optional<asio::steady_timer> flushed;  ///< who waits for another's flush waits here
  error_code read_end;                        ///< why nothing more can be read
  error_code write_end;                       ///< why nothing more can be written
  Failure failure;
};

TlsStream::State::State(SSL* session, std::unique_ptr<ByteStream> stream, ByteView read_ahead)
    : ssl(session), below(std::move(stream)) {
  buffers.begin_with(read_ahead);
  buffers.attach_to(ssl.get());
  // Renegotiation (TLS 1.2) would make reads depend on writes.
  SSL_set_options(ssl.get(), SSL_OP_NO_RENEGOTIATION);
}

/// On a link that brings packet by packet each would wake this thread, and most of them in vain: a
/// record has a dozen. FIN, errors and a window that is full wake it all the same (tcp(7) has no
/// word of it; net/ipv4/tcp.c, tcp_stream_is_readable and tcp_poll).
void TlsStream::State::wake_when_of_use() {
  const int socket = below->plain_socket();
  if (socket < 0 || buffers.missing == wakes_at) return;
  const int least = static_cast<int>(buffers.missing);
  if (::setsockopt(socket, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least) == 0) {
    wakes_at = buffers.missing;
  }
}

awaitable<Result<void>> TlsStream::State::fill() {
  wake_when_of_use();
  buffers.fit_reads();
  buffers.in_begin = buffers.in_end = 0;
  CO_TRY(buffers.in_end,
         co_await below->read_some(MutableBytes(buffers.in.get(), buffers.in_capacity)));
  co_return Result<void>();
}

/// Returns when all that was to be sent at the call has been sent.
awaitable<Result<void>> TlsStream::State::flush() {
  while (flushing) {
    // The reader is sending; only one at a time may write below.
    if (!flushed) flushed.emplace(co_await asio::this_coro::executor, TimePoint::max());
    co_await flushed->async_wait(kTuple);
    if (co_await asked_to_stop()) co_return Errc::cancelled;
  }
  flushing = true;
  while (!buffers.out.empty() && !write_end) {
    std::swap(buffers.out, sending);
    const auto sent = co_await below->write(sending);
    sending.clear();
    // A record that was cut short can't be continued: nothing can be written after it.
    if (!sent) write_end = sent.error();
    // One buffer of 256 KiB a connection is enough, unless both were filled.
    if (buffers.out.empty()) std::swap(buffers.out, sending);
  }
  flushing = false;
  wake();
  if (write_end) co_return write_end;
  co_return Result<void>();
}

/// Sends what reading has made (alerts) unless a write is about to send it anyway.
awaitable<Result<void>> TlsStream::State::flush_unless_flushing() {
  if (flushing || buffers.out.empty()) co_return Result<void>();
  co_return co_await flush();
}

std::size_t TlsStream::State::decrypt(MutableBytes into) {
  std::size_t total = 0;
  while (total < into.size() && !read_end) {
    ERR_clear_error();
    std::size_t size = 0;
    const int result = SSL_read_ex(ssl.get(), into.data() + total, into.size() - total, &size);
    total += size;
    if (result == 1) continue;
    const int error = SSL_get_error(ssl.get(), result);
    if (error == SSL_ERROR_WANT_READ) break;
    read_end = error == SSL_ERROR_ZERO_RETURN ? make_error_code(Errc::end_of_stream) : fail(error);
  }
  return total;
}

error_code TlsStream::State::fail(int ssl_error) {
  // What follows a first failure says only that there was one.
  if (!failure.text.empty()) return Errc::bad_message;
  const auto code = ERR_peek_error();
  const int reason = ERR_GET_REASON(code);
  if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET &&
      reason <= SSL_AD_REASON_OFFSET + 255) {
    failure.alert = reason - SSL_AD_REASON_OFFSET;
  }
  failure.verify_result = SSL_get_verify_result(ssl.get());
  if (const char* text = ERR_reason_error_string(code)) {
    failure.text = text;
  } else {
    failure.text = "OpenSSL error " + std::to_string(ssl_error);
  }
  if (failure.verify_result != X509_V_OK) {
    failure.text += ": ";
    failure.text += X509_verify_cert_error_string(failure.verify_result);
  }
  ERR_clear_error();
  return Errc::bad_message;
}

TlsStream::TlsStream(SSL* ssl, std::unique_ptr<ByteStream> below, ByteView read_ahead)
    : state_(std::make_shared<State>(ssl, std::move(below), read_ahead)) {}

TlsStream::~TlsStream() { close(); }

awaitable<Result<void>> TlsStream::handshake() {
  auto state = state_;
  while (true) {
    ERR_clear_error();
    const int result = SSL_do_handshake(state->ssl.get());
    const int error = SSL_get_error(state->ssl.get(), result);
    if (result != 1 && error != SSL_ERROR_WANT_READ) {
      state->read_end = state->fail(error);
      // Our alert tells the other side why; that it can't be sent changes nothing.
      (void)co_await state->flush();
      state->write_end = state->read_end;
      co_return state->read_end;
    }
    CO_CHECK(co_await state->flush());
    if (result == 1) co_return Result<void>();
    if (co_await asked_to_stop()) co_return Errc::cancelled;
    CO_CHECK(co_await state->fill());
  }
}

awaitable<Result<std::size_t>> TlsStream::read_some(MutableBytes into) {
  auto state = state_;
  while (true) {
    const auto size = state->decrypt(into);
    const auto sent = co_await state->flush_unless_flushing();
    if (size > 0) co_return size;
    if (state->read_end) co_return state->read_end;
    if (!sent) co_return sent.error();
    if (co_await asked_to_stop()) co_return Errc::cancelled;
    if (const auto filled = co_await state->fill(); !filled) {
      if (filled.error() != Errc::end_of_stream) co_return filled.error();
      state->read_end = Errc::truncated;
      co_return state->read_end;
    }
  }
}

awaitable<Result<void>> TlsStream::write(ByteView from) {
  auto state = state_;
  while (!from.empty()) {
    if (state->write_end) co_return state->write_end;
    const auto part = from.first(std::min(from.size(), kSendSize));
    // Sixteen records with at most 29 bytes of header, explicit nonce and tag each.
    if (state->buffers.out.empty()) state->buffers.fit_writes(part.size());
    state->buffers.out.reserve(state->buffers.out.size() + part.size() + 1024);
    ERR_clear_error();
    std::size_t written = 0;
    const int result = SSL_write_ex(state->ssl.get(), part.data(), part.size(), &written);
    if (result != 1) {
      state->write_end = state->fail(SSL_get_error(state->ssl.get(), result));
      co_return state->write_end;
    }
    CO_CHECK(co_await state->flush());
    from = from.subspan(written);
  }
  co_return Result<void>();
}

awaitable<Result<void>> TlsStream::shutdown_write() {
  auto state = state_;
  if (state->write_end) co_return state->write_end;
  ERR_clear_error();
  // Before the handshake is done there is no close_notify to send: FIN alone says it.
  if (SSL_is_init_finished(state->ssl.get())) (void)SSL_shutdown(state->ssl.get());
  ERR_clear_error();
  CO_CHECK(co_await state->flush());
  state->write_end = make_error_code(boost::system::errc::broken_pipe);
  co_return co_await state->below->shutdown_write();
}

void TlsStream::close() {
  if (!state_->write_end) state_->write_end = Errc::cancelled;
  if (!state_->read_end) state_->read_end = Errc::cancelled;
  state_->below->close();
  state_->wake();
}

const TlsStream::Failure& TlsStream::failure() const { return state_->failure; }

SSL* TlsStream::ssl() { return state_->ssl.get(); }

void TlsStream::set_inactivity_limit(Duration limit) { state_->below->set_inactivity_limit(limit); }

bool is_certificate_alert(int alert) noexcept {
  return (alert >= SSL_AD_BAD_CERTIFICATE && alert <= SSL_AD_CERTIFICATE_UNKNOWN) ||
         alert == SSL_AD_UNKNOWN_CA;
}

}  // namespace hagring
