#!/usr/bin/env python3
"""Ask a simulated site with the plain OpenStack command line client.

    openstack_client.py SITES_BINARY OPENSTACK

starts the simulated sites, runs lists and shows as admin and as a tenant, and ends with one line of JSON.
The exit status is 0 if every command worked and said what it should.
"""

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import tempfile


def main() -> int:
    binary, client = sys.argv[1:3]
    sites = subprocess.Popen([binary, "--servers", "2"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        site = json.loads(sites.stdout.readline())["sites"][0]
        results = Check(client, site).run()
    finally:
        sites.send_signal(signal.SIGTERM)
        sites.wait(10)
    failed = [result for result in results if not result["ok"]]
    print(json.dumps({"ok": not failed, "checks": len(results), "failed": failed}))
    return 1 if failed else 0


class Check:
    def __init__(self, client, site):
        self.client = client
        self.site = site
        self.home = tempfile.TemporaryDirectory()
        self.accounts = {account["user"]: account for account in site["accounts"]}

    def openstack(self, user, *words, form="json"):
        account = self.accounts[user]
        env = {
            "PATH": os.environ["PATH"], "HOME": self.home.name,
            "OS_AUTH_URL": self.site["auth_url"], "OS_USERNAME": user, "OS_PASSWORD": account["password"],
            "OS_PROJECT_NAME": account["project"], "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default",
            "OS_IDENTITY_API_VERSION": "3", "OS_REGION_NAME": self.site["region"],
            "OS_COMPUTE_API_VERSION": "2.87", "OS_VOLUME_API_VERSION": "3.62",
        }
        command = [self.client, *words] + (["-f", form] if form else [])
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)

    def one(self, user, words, expected):
        answer = self.openstack(user, *words)
        ok = answer.returncode == 0 and not answer.stderr.strip() and expected in answer.stdout
        if not ok:
            sys.stderr.write(f"{user}: {' '.join(words)}: {answer.returncode}\n{answer.stdout[-500:]}\n{answer.stderr[-1500:]}\n")
        return {"user": user, "command": " ".join(words), "ok": ok}

    def run(self):
        reads = [
            ("demo", "server list", "web-0"),
            ("demo", "server list --long", "ACTIVE"),
            ("demo", "server show web-0", "demo-net"),
            ("demo", "server volume list web-0", "/dev/vdb"),
            ("demo", "volume list", "web-0-0"),
            ("demo", "volume show web-0-0", "replicated-ssd"),
            ("demo", "volume type list", "replicated-ssd"),
            ("demo", "volume transfer request list", "["),
            ("demo", "volume group list", "["),
            ("demo", "network list", "demo-net"),
            ("demo", "network show demo-net", "ACTIVE"),
            ("demo", "subnet list", "demo-subnet"),
            ("demo", "subnet show demo-subnet", "10.1.0.0/24"),
            ("demo", "port list", "web-0-port"),
            ("demo", "port list --server web-0", "web-0-port"),
            ("demo", "port show web-0-port", "fa:16:3e"),
            ("demo", "security group list", "web"),
            ("demo", "security group rule list web", "tcp"),
            ("demo", "flavor list", "m1.small"),
            ("demo", "flavor show m1.small", "2048"),
            ("demo", "keypair list", "demo-key"),
            ("demo", "image list", "cirros"),
            ("demo", "image show cirros", "qcow2"),
            ("demo", "catalog list", "nova"),
            ("demo", "token issue", "expires"),
            ("demo", "limits show --absolute", "total_instances_used"),
            ("demo", "router list", "["),
            ("demo", "floating ip list", "["),
            ("demo", "server group list", "["),
            ("demo", "availability zone list", "nova"),
            ("demo", "volume snapshot list", "["),
            ("demo", "volume message list", "["),
            ("admin", "project list", "service"),
            ("admin", "project show demo", "demo"),
            ("admin", "user list", "protector"),
            ("admin", "user show protector", "protector"),
            ("admin", "role list", "member"),
            ("admin", "role assignment list --names", "protector@Default"),
            ("admin", "service list", "keystone"),
            ("admin", "endpoint list", "RegionOne"),
            ("admin", "catalog list", "cinder"),
            ("admin", "trust list", "["),
            ("admin", "server list --all-projects", "web-1"),
            ("admin", "volume list --all-projects", "web-1-1"),
            ("admin", "volume type show replicated-ssd", "<in> async"),
            ("admin", "volume service list", "cinder-volume"),
            ("admin", "compute service list", "nova-compute"),
            ("admin", "hypervisor list", "site-a-compute-1"),
            ("admin", "quota show demo", "instances"),
            ("admin", "extension list --network", "port-security"),
            ("admin", "domain list", "Default"),
            ("admin", "region list", "RegionOne"),
        ]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda read: self.one(read[0], read[1].split(), read[2]), reads))
        return results + self.writes()

    def writes(self):
        """What changes something, in order."""
        def ident(kind, name, user="admin"):
            answer = self.openstack(user, *kind.split(), "show", name, "-c", "id", form="value")
            return answer.stdout.strip()

        member, demo, service = ident("role", "member"), ident("user", "demo"), ident("user", "protector")
        project = ident("project", "demo")
        steps = [
            ("admin", "service create --name protector protector", "protector"),
            ("admin", "endpoint create --region RegionOne protector public http://controller:8788/v1/%(tenant_id)s", "8788"),
            ("demo", "catalog show protector", f"v1/{project}"),
            ("demo", f"trust create --project {project} --role {member} {demo} {service} --impersonate", service),
            ("demo", "application credential create robot", "Secret"),
            ("demo", "volume create --size 1 --type plain --bootable disk", "creating"),
            ("demo", "server stop web-0", ""),
            ("demo", "port create --network demo-net --fixed-ip ip-address=10.1.0.77 --mac-address fa:16:3e:00:00:77 fixed", "10.1.0.77"),
            ("demo", "server create --flavor m1.small --volume disk --port fixed --key-name demo-key --wait new", "ACTIVE"),
            ("demo", "server show web-0", "SHUTOFF"),
            ("demo", "server delete --wait new", ""),
            ("demo", "port show fixed", "DOWN"),
            ("demo", "volume show disk", "available"),
            ("demo", "volume transfer request create disk", "auth_key"),
            ("demo", "keypair create other", ""),
            ("admin", "volume group type create --help", ""),
        ]
        silent = ("server stop", "server delete", "keypair create", "volume group type create --help")
        results = []
        for user, words, expected in steps:
            form = None if words.startswith(silent) else "json"
            answer = self.openstack(user, *words.split(), form=form)
            ok = answer.returncode == 0 and expected in answer.stdout
            if not ok:
                sys.stderr.write(f"{user}: {words}: {answer.returncode}\n{answer.stdout[-500:]}\n{answer.stderr[-1500:]}\n")
            results.append({"user": user, "command": words, "ok": ok})
        return results


if __name__ == "__main__":
    sys.exit(main())
