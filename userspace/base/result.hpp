// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>
#include <utility>

namespace hagring {

using boost::system::error_code;

template <typename T>
using Result = boost::system::result<T>;

/// Errors that any part may return. Folders with reasons of their own have an Errc of their own.
enum class Errc {
  end_of_stream = 1,  ///< the other side closed its sending half (FIN, close_notify)
  timed_out,          ///< a deadline or an inactivity limit passed
  cancelled,          ///< the owner of the operation asked it to stop
  bad_message,        ///< bytes that break the protocol or the format
  too_large,          ///< a limit on size was passed
  not_found,          ///< nothing by that name
  unavailable,        ///< the other side can't be reached or refuses to serve now
  unsupported,        ///< this kernel, runtime or peer lacks the feature
  truncated,          ///< the connection ended before what it carried was complete
};

/// The category of Errc; its messages say what happened in the operator's words.
const boost::system::error_category& base_category() noexcept;

inline error_code make_error_code(Errc code) noexcept {
  return {static_cast<int>(code), base_category()};
}

/// The last system call's errno as an error code of the system category.
error_code last_system_error() noexcept;

/// Whether `error` means that the operation was told to stop, by Asio or by us.
bool is_cancelled(const error_code& error) noexcept;

/// Thrown while the program starts: bad configuration, missing privilege or kernel feature. The
/// text is shown to the operator as it is: what was wrong, where, what to do.
class StartError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace hagring

template <>
struct boost::system::is_error_code_enum<hagring::Errc> : std::true_type {};

#define HAGRING_CONCAT_(a, b) a##b
#define HAGRING_CONCAT(a, b) HAGRING_CONCAT_(a, b)

#define HAGRING_TRY_(name, declaration, expression, give_back) \
  auto name = (expression);                                    \
  if (!name) give_back name.error();                           \
  declaration = *std::move(name)

/// `CO_TRY(auto x, co_await f());` declares x from a Result, or returns its error.
#define CO_TRY(declaration, ...) \
  HAGRING_TRY_(HAGRING_CONCAT(try_, __LINE__), declaration, (__VA_ARGS__), co_return)
#define TRY(declaration, ...) \
  HAGRING_TRY_(HAGRING_CONCAT(try_, __LINE__), declaration, (__VA_ARGS__), return)

/// The same for Result<void>: `CO_CHECK(co_await stream.write(bytes));`.
#define CO_CHECK(...) \
  if (auto check_result = (__VA_ARGS__); !check_result) co_return check_result.error()
#define CHECK_OK(...) \
  if (auto check_result = (__VA_ARGS__); !check_result) return check_result.error()
