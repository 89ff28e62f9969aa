// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace hagring {

namespace asio = boost::asio;

template <typename T>
using awaitable = asio::awaitable<T>;

/// Completion token: the operation's error code and values as a tuple, never an exception.
inline constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

}  // namespace hagring
