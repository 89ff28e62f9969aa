# SPDX-License-Identifier: Apache-2.0
"""A systemd for a node, as far as D-Bus goes: a bus daemon of the node's own, and on it a manager whose
units, and what a restart does, are the test's. The lab's machines have no init."""

import threading
from typing import Callable, Optional

import dbus
import dbus.bus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

from .process import wait_until

_SOCKET = "/run/dbus/system_bus_socket"
_NAME = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"
_MANAGER = f"{_NAME}.Manager"
_PROPERTIES = "org.freedesktop.DBus.Properties"

_BUS = f"""<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={_SOCKET}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_type="method_call"/> <allow send_type="signal"/>
    <allow send_requested_reply="true"/> <allow receive_requested_reply="true"/>
  </policy>
</busconfig>
"""


class Systemd:
    """The manager of `node`. units: properties by unit (ActiveState and ControlGroup have values of their
    own); restart: called, on a thread of its own, when RestartUnit is."""

    def __init__(self, node, units: dict[str, dict], restart: Optional[Callable[[str], None]] = None):
        self.restarts: list[tuple[str, str]] = []  #: (unit, mode) of each call
        self.asked: list[str] = []  #: the units that were asked for
        self.units = units
        self.restart = restart
        node.write("/run/dbus/bus.conf", _BUS)
        node.path(_SOCKET).unlink(missing_ok=True)
        self._daemon = node.spawn("dbus", ["dbus-daemon", "--nofork", "--nopidfile",
                                           "--config-file=/run/dbus/bus.conf"])
        socket = node.path(_SOCKET)
        wait_until(socket.exists, 10, "the bus is there")
        dbus.mainloop.glib.threads_init()
        self._context = GLib.MainContext()
        self._loop = GLib.MainLoop()
        self._bus = dbus.bus.BusConnection(f"unix:path={socket}",
                                           mainloop=dbus.mainloop.glib.DBusGMainLoop())
        self._manager = _Manager(self)
        self._objects = [_Unit(self, number, unit) for number, unit in enumerate(units)]
        self._name = dbus.service.BusName(_NAME, self._bus)
        threading.Thread(target=self._loop.run, daemon=True).start()

    @property
    def bus(self):
        """The manager's connection."""
        return self._bus

    def close(self) -> None:
        """Ends manager and bus."""
        self._loop.quit()
        self._bus.close()
        self._daemon.stop()


def _error(name: str, text: str) -> dbus.DBusException:
    return dbus.DBusException(text, name=name)


class _Manager(dbus.service.Object):
    def __init__(self, systemd: Systemd):
        super().__init__(systemd.bus, _PATH)
        self._systemd = systemd

    @dbus.service.method(_MANAGER, in_signature="s", out_signature="o")
    def GetUnit(self, name):  # pylint: disable=invalid-name
        """The unit's object."""
        self._systemd.asked.append(str(name))
        if name not in self._systemd.units:
            raise _error(f"{_NAME}.NoSuchUnit", f"Unit {name} not loaded.")
        return f"{_PATH}/unit/_{list(self._systemd.units).index(name)}"

    @dbus.service.method(_MANAGER, in_signature="ss", out_signature="o")
    def RestartUnit(self, name, mode):  # pylint: disable=invalid-name
        """Queues a restart, as a job."""
        self._systemd.restarts.append((str(name), str(mode)))
        if self._systemd.restart:
            threading.Thread(target=self._systemd.restart, args=(str(name),)).start()
        return f"{_PATH}/job/{len(self._systemd.restarts)}"


class _Unit(dbus.service.Object):
    def __init__(self, systemd: Systemd, number: int, name: str):
        super().__init__(systemd.bus, f"{_PATH}/unit/_{number}")
        self._properties = systemd.units[name]

    @dbus.service.method(_PROPERTIES, in_signature="ss", out_signature="v")
    def Get(self, interface, name):  # pylint: disable=invalid-name
        """A property's value."""
        text = {"ActiveState": "active", "ControlGroup": ""}
        of_service = name == "ControlGroup"
        if of_service != (interface == f"{_NAME}.Service"):
            raise _error("org.freedesktop.DBus.Error.UnknownInterface", str(interface))
        if name in text:
            return dbus.String(self._properties.get(name, text[name]))
        if name not in ("RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf"):
            raise _error("org.freedesktop.DBus.Error.UnknownProperty", str(name))
        return dbus.Array(self._properties.get(name, []), signature="s")
