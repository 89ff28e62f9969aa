// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "userspace/base/result.hpp"

namespace hagring::systemd {

/// Why systemd can't be asked, or says no.
enum class Errc {
  no_bus = 1,    ///< there is no D-Bus socket, or nobody answers there
  no_systemd,    ///< the bus is there, and nobody of systemd's name on it
  no_such_unit,  ///< systemd hasn't loaded such a unit
  denied,        ///< by the bus's policy or by polkit
  failed,        ///< anything else that systemd or the bus said
};

const boost::system::error_category& systemd_category() noexcept;

inline error_code make_error_code(Errc code) noexcept {
  return {static_cast<int>(code), systemd_category()};
}

/// What an error of D-Bus means, by its name.
error_code error_of(std::string_view dbus_name) noexcept;

}  // namespace hagring::systemd

template <>
struct boost::system::is_error_code_enum<hagring::systemd::Errc> : std::true_type {};
