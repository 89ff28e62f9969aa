// SPDX-License-Identifier: Apache-2.0
#include "userspace/systemd/error.hpp"

namespace hagring::systemd {
namespace {

class SystemdCategory : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "hagring.systemd"; }

  std::string message(int value) const override {
    switch (static_cast<Errc>(value)) {
      case Errc::no_bus:
        return "systemd's D-Bus socket isn't there or nobody answers; in a container the host's "
               "/run/dbus has to be mounted below --host-root";
      case Errc::no_systemd:
        return "nobody on the D-Bus is systemd: is it this host's init?";
      case Errc::no_such_unit:
        return "systemd has no such unit loaded";
      case Errc::denied:
        return "systemd doesn't let us: the agent has to run as the host's root";
      case Errc::failed:
        return "systemd refused";
    }
    return "unknown error";
  }
};

}  // namespace

const boost::system::error_category& systemd_category() noexcept {
  static const SystemdCategory category;
  return category;
}

error_code error_of(std::string_view dbus_name) noexcept {
  constexpr std::string_view kBus = "org.freedesktop.DBus.Error.";
  if (dbus_name == "org.freedesktop.systemd1.NoSuchUnit") return Errc::no_such_unit;
  if (!dbus_name.starts_with(kBus)) return Errc::failed;
  dbus_name.remove_prefix(kBus.size());
  if (dbus_name == "ServiceUnknown" || dbus_name == "NameHasNoOwner") return Errc::no_systemd;
  if (dbus_name == "AccessDenied" || dbus_name == "InteractiveAuthorizationRequired") {
    return Errc::denied;
  }
  if (dbus_name == "NoReply" || dbus_name == "Timeout") return hagring::Errc::timed_out;
  if (dbus_name == "Disconnected" || dbus_name == "NoServer") return Errc::no_bus;
  return Errc::failed;
}

}  // namespace hagring::systemd
