#!/usr/bin/env python3
"""Drive the simulated arrays through the vendor's public Python client.

    pure_client.py ARRAYS_BINARY

ARRAYS_BINARY is the example `arrays` of this crate; it is started on free ports with HTTPS. Needs py-pure-client.
The last line of output is one JSON object; the exit status is 0 only if every check held.
"""
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
import warnings

warnings.filterwarnings("ignore")
from pypureclient import flasharray  # noqa: E402
from pypureclient.exceptions import PureError  # noqa: E402

GIB = 2**30
CHECKS = []


def check(name, held, detail=None):
    CHECKS.append(name)
    if not held:
        raise AssertionError(f"{name}: {detail}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ok(answer):
    if answer.status_code != 200:
        raise AssertionError(f"{answer.status_code}: {answer.errors}")
    return list(answer.items) if getattr(answer, "items", None) is not None else []


def refused(name, answer, text):
    said = "" if answer.status_code == 200 else " ".join(e.message for e in answer.errors)
    check(name, answer.status_code == 400 and text in said, (answer.status_code, said))


def wait(what, probe, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = probe()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {seconds} s")


class Control:
    def __init__(self, url):
        self.url = url

    def __call__(self, method, path, body=None):
        request = urllib.request.Request(self.url + "/control" + path, method=method)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, data, timeout=5) as answer:
            return json.load(answer)

    def write(self, array, volume, marker):
        self("POST", f"/arrays/{array}/content?name={urllib.parse.quote(volume, safe='')}", {"marker": marker})

    def read(self, array, name):
        return self("GET", f"/arrays/{array}/content?name={urllib.parse.quote(name, safe='')}")["markers"]


def client(port, version=None):
    return flasharray.Client(f"127.0.0.1:{port}", api_token="token-of-the-check", version=version, verify_ssl=False)


def volumes(a):
    made = ok(a.post_volumes(names=["v1", "v2"], with_default_protection=False,
                             volume=flasharray.VolumePost(provisioned=GIB)))
    check("volumes are created", [v.name for v in made] == ["v1", "v2"] and len(made[0].serial) == 24)
    refused("a name is taken once", a.post_volumes(names=["v1"], volume=flasharray.VolumePost(provisioned=GIB)),
            "already exists")
    refused("an unknown name is a 400", a.get_volumes(names=["nosuch"]), "does not exist")
    serial = made[0].serial
    ok(a.patch_volumes(names=["v1"], volume=flasharray.VolumePatch(name="v-one")))
    renamed = ok(a.get_volumes(names=["v-one"]))[0]
    check("a rename keeps the serial", renamed.serial == serial)
    ok(a.patch_volumes(names=["v-one"], volume=flasharray.VolumePatch(name="v1")))
    ok(a.patch_volumes(names=["v2"], volume=flasharray.VolumePatch(provisioned=2 * GIB)))
    check("a volume grows", ok(a.get_volumes(filter="name='v2'"))[0].provisioned == 2 * GIB)
    names = [f"page-{n:02}" for n in range(25)]
    ok(a.post_volumes(names=names, with_default_protection=False, volume=flasharray.VolumePost(provisioned=GIB)))
    paged = [v.name for v in ok(a.get_volumes(filter="name='page-*'", limit=10))]
    check("pages follow each other", paged == names[:10] or paged == names, paged)
    check("sorted lists have offsets", [v.name for v in ok(a.get_volumes(
        filter="name='page-*'", sort=["name-"], limit=2, offset=1))][:2] == ["page-23", "page-22"])
    ok(a.patch_volumes(names=names, volume=flasharray.VolumePatch(destroyed=True)))
    check("destroyed volumes are told apart", not ok(a.get_volumes(filter="name='page-*'", destroyed=False)))
    ok(a.delete_volumes(names=names))
    tags = [flasharray.Tag(key="operation", value="op-1", namespace="dr.check", copyable=False)]
    ok(a.put_volumes_tags_batch(resource_names=["v1"], tag=tags))
    found = ok(a.get_volumes_tags(resource_names=["v1"], namespaces=["dr.check"]))
    check("tags are kept", [(t.key, t.value, t.resource.name) for t in found] == [("operation", "op-1", "v1")])
    ok(a.delete_volumes_tags(resource_names=["v1"], namespaces=["dr.check"], keys=["operation"]))
    check("tags go", not ok(a.get_volumes_tags(resource_names=["v1"], namespaces=["dr.check"])))


def hosts(a):
    ok(a.post_hosts(names=["compute-1"], host=flasharray.HostPost(iqns=["iqn.check"])))
    check("a host is found by its port", len(ok(a.get_hosts(filter="iqns='iqn.check' and is_local"))) == 1)
    made = ok(a.post_connections(host_names=["compute-1"], volume_names=["v1"]))
    check("a connection has a lun", made[0].lun == 1)
    refused("a connected volume stays", a.patch_volumes(names=["v1"], volume=flasharray.VolumePatch(destroyed=True)),
            "cannot be deleted due to existing connections")
    ok(a.delete_connections(host_names=["compute-1"], volume_names=["v1"]))
    ok(a.delete_hosts(names=["compute-1"]))
    check("the machine has two controllers", len(ok(a.get_controllers(filter="status='ready'"))) == 2)
    check("ports are found by wildcard", len(ok(a.get_ports(filter="name='CT0.*'"))) == 2)


def replication(a, b, control):
    check("the peer is connected", [c.name for c in ok(a.get_array_connections())] == ["fa-b"])
    ok(a.post_protection_groups(names=["pg"]))
    ok(a.patch_protection_groups(names=["pg"], protection_group=flasharray.ProtectionGroup(
        target_retention=flasharray.RetentionPolicy(all_for_sec=14400, per_day=3, days=7))))
    for frequency in (300000, 300):
        ok(a.patch_protection_groups(names=["pg"], protection_group=flasharray.ProtectionGroup(
            replication_schedule=flasharray.ReplicationSchedule(frequency=frequency))))
    ok(a.post_protection_groups_targets(group_names=["pg"], member_names=["fa-b"]))
    refused("a target is added once", a.post_protection_groups_targets(group_names=["pg"], member_names=["fa-b"]),
            "already includes")
    wait("the group on its target", lambda: b.get_protection_groups(names=["fa-a:pg"]).status_code == 200)
    allow = flasharray.TargetProtectionGroupPostPatch(allowed=True)
    ok(b.patch_protection_groups_targets(group_names=["fa-a:pg"], target=allow))
    refused("a target allows once", b.patch_protection_groups_targets(group_names=["fa-a:pg"], target=allow),
            "already allowed on")
    wait("the source sees it", lambda: ok(a.get_protection_groups_targets(group_names=["pg"]))[0].allowed)
    ok(a.post_protection_groups_volumes(group_names=["pg"], member_names=["v1", "v2"]))
    refused("a member is added once", a.post_protection_groups_volumes(group_names=["pg"], member_names=["v1"]),
            "already belongs to")
    ok(a.delete_protection_groups_volumes(group_names=["pg"], member_names=[]))
    check("members are listed", [m.member.name for m in ok(a.get_protection_groups_volumes(group_names=["pg"]))]
          == ["v1", "v2"])

    control.write("fa-a", "v1", "before")
    control.write("fa-a", "v2", "before too")
    control("PATCH", "/links", {"transfer_millis": 600})
    made = ok(a.post_protection_group_snapshots(
        source_names=["pg"], replicate_now=True, apply_retention=True,
        protection_group_snapshot=flasharray.ProtectionGroupSnapshotPost(suffix="dr-check")))
    check("the snapshot has its name", made[0].name == "pg.dr-check")
    control.write("fa-a", "v1", "after")
    seen = []

    def arrived():
        answer = b.get_protection_group_snapshots_transfer(names=["fa-a:pg.dr-check"])
        if answer.status_code != 200:
            return False
        for item in answer.items:
            seen.append(item.progress)
            return item.progress == 1.0 and getattr(item, "completed", None)
        return False

    wait("the transfer", arrived)
    check("progress was seen", seen[0] < 1.0 and sorted(seen) == seen, seen)
    newest = ok(b.get_protection_group_snapshots_transfer(
        names=["fa-a:pg"], destroyed=False, sort=["started-"], filter='progress="1.0"'))
    check("the newest complete snapshot is found by group", newest[0].name == "fa-a:pg.dr-check")
    members = ok(b.get_volume_snapshots(filter="name='fa-a:pg.dr-check.*'", destroyed=False))
    check("the members arrived", [m.name for m in members] == ["fa-a:pg.dr-check.v1", "fa-a:pg.dr-check.v2"])
    for n, member in enumerate(members):
        ok(b.post_volumes(names=[f"dr-{n}"], with_default_protection=False, volume=flasharray.VolumePost(
            source=flasharray.Reference(name=member.name))))
    check("clones hold the data of the snapshot's instant",
          [control.read("fa-b", "dr-0"), control.read("fa-b", "dr-1")] == [["before"], ["before too"]])

    ok(b.post_volumes(names=["dr-1"], overwrite=True, with_default_protection=False, volume=flasharray.VolumePost(
        source=flasharray.Reference(name=members[0].name))))
    check("an overwritten volume holds the other data", control.read("fa-b", "dr-1") == ["before"])

    ok(b.patch_protection_groups_targets(group_names=["fa-a:pg"],
                                         target=flasharray.TargetProtectionGroupPostPatch(allowed=False)))
    refused("a fenced source can't push", a.post_protection_group_snapshots(source_names=["pg"], replicate_now=True),
            "no allowed target")
    ok(b.patch_protection_group_snapshots(
        names=["fa-a:pg.dr-check"], protection_group_snapshot=flasharray.ProtectionGroupSnapshotPatch(destroyed=True)))
    ok(b.delete_protection_group_snapshots(names=["fa-a:pg.dr-check"]))
    check("an eradicated snapshot takes its members along", not ok(b.get_volume_snapshots()))


def consistency_group(a, b):
    """What Cinder's driver does for a replicated group type: it waits for nothing."""
    ok(a.post_protection_groups(names=["consisgroup-1-cinder"]))
    ok(a.patch_protection_groups(names=["consisgroup-1-cinder"], protection_group=flasharray.ProtectionGroup(
        replication_schedule=flasharray.ReplicationSchedule(frequency=300))))
    ok(a.post_protection_groups_targets(group_names=["consisgroup-1-cinder"], member_names=["fa-b"]))
    ok(b.patch_protection_groups_targets(group_names=["fa-a:consisgroup-1-cinder"],
                                         target=flasharray.TargetProtectionGroupPostPatch(allowed=True)))
    check("a group is allowed at once",
          ok(a.get_protection_groups_targets(group_names=["consisgroup-1-cinder"]))[0].allowed)
    ok(a.patch_protection_groups(names=["consisgroup-1-cinder"], protection_group=flasharray.ProtectionGroup(
        replication_schedule=flasharray.ReplicationSchedule(enabled=True))))
    ok(a.patch_protection_groups(names=["consisgroup-1-cinder"],
                                 protection_group=flasharray.ProtectionGroup(destroyed=True)))
    answer = a.post_protection_groups(names=["consisgroup-1-cinder"])
    check("a destroyed group is no existing one",
          answer.status_code == 400 and "already exists" not in answer.errors[0].message)
    ok(a.delete_protection_groups(names=["consisgroup-1-cinder"]))


def main():
    ports = {"fa-a": free_port(), "fa-b": free_port()}
    control_port = free_port()
    with tempfile.TemporaryDirectory() as state:
        command = [sys.argv[1], "--state-dir", state, "--control", f"127.0.0.1:{control_port}"]
        for name, port in ports.items():
            command += ["--array", f"{name}=127.0.0.1:{port}"]
        process = subprocess.Popen(command, env={**os.environ, "SIM_ARRAY_TOKEN": "token-of-the-check"})
        try:
            def listening():
                with socket.socket() as s:
                    return s.connect_ex(("127.0.0.1", control_port)) == 0

            wait("the arrays' start", listening)
            a, b = client(ports["fa-a"]), client(ports["fa-b"])
            check("the highest version is chosen", a.get_rest_version() == "2.26", a.get_rest_version())
            check("an older one can be", client(ports["fa-a"], "2.4").get_rest_version() == "2.4")
            control = Control(f"http://127.0.0.1:{control_port}")
            try:
                flasharray.Client(f"127.0.0.1:{ports['fa-a']}", api_token="wrong", verify_ssl=False)
                check("a wrong token is refused", False)
            except PureError:
                check("a wrong token is refused", True)
            volumes(a)
            hosts(a)
            replication(a, b, control)
            consistency_group(a, b)
            control("DELETE", "/arrays/fa-a/sessions")
            check("a lost session is renewed", ok(a.get_arrays())[0].name == "fa-a")
            calls = control("GET", "/calls?service=fa-a&path=/login")["calls"]
            check("the log of calls shows the logins", len(calls) >= 3, len(calls))
        finally:
            process.terminate()
            process.wait(10)
    check("the process ends well", process.returncode == 0, process.returncode)


if __name__ == "__main__":
    result = {"check": "pure_client", "ok": True}
    try:
        main()
    except Exception as error:  # the last line says what went wrong, whatever it was
        result.update(ok=False, error=f"{type(error).__name__}: {error}")
    print(json.dumps({**result, "checks": len(CHECKS), "last": CHECKS[-1] if CHECKS else None}))
    sys.exit(0 if result["ok"] else 1)
