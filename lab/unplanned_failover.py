"""Unplanned: everything of the real site-a is gone, and the real site-b brings a group up without it."""
import json

import killed_engine
import way_back
from scenario import (RUN, TYPE, at_once, await_policy, boot, check, client, content, control, disks_of, lab_sh, policy_options,
                      protector, say, store_token, until, write_markers)

GROUP = 'ward-%s' % RUN
ARRAY_GROUP = 'ward-pg-%s' % RUN


def protect(servers):
    protector('tenant-a', 'protection-group', 'create', '--name', GROUP, '--replication-type', 'async', '--primary-site', 'site-a',
              '--secondary-site', 'site-b', '--volume-type', TYPE, '--wait')
    # This group's tokens stay in each site's Barbican.
    hrefs = at_once(lambda: store_token('tenant-a', 'site-a'), lambda: store_token('tenant-b', 'site-b'))
    secrets = ('--primary-fa-token-secret', hrefs[0]), ('--secondary-fa-token-secret', hrefs[1])
    protector('tenant-a', 'protection-group', 'policy-create', GROUP, *policy_options(ARRAY_GROUP, *secrets))
    shown = await_policy(GROUP)
    named = [shown.get('primary_fa_token_secret'), shown.get('secondary_fa_token_secret')]
    check('policy_with_tokens_in_barbican', shown['status'] == 'active' and named == [href.rsplit('/', 1)[-1] for href in hrefs], shown)
    for server in servers:
        protector('tenant-a', 'protection-group', 'member-add', GROUP, '--instance-id', server.id)


def replicated():
    found = control('GET', '/arrays/fa-b/state')['group_snapshots']
    return [s for s in found if 'fa-a:' + ARRAY_GROUP in json.dumps(s)]


def run(world):
    """How many seconds the failover took."""
    tenant_a, tenant_b = world.tenant_a, world.tenant_b
    say('booting two more servers on site-a')
    servers = at_once(lambda: boot(tenant_a, 'bed', [1], [('front', None)]), lambda: boot(tenant_a, 'desk', [1, 1], [('back', None)]))
    protect(servers)
    disks = {server.name: disks_of(tenant_a, server) for server in servers}
    addresses = {server.name: dict(tenant_a.compute.get_server(server.id).addresses) for server in servers}
    markers = write_markers(tenant_a, servers)
    before = len(replicated())
    control('POST', '/time', {'advance_millis': 301000})
    until('the_schedule_brings_the_data_over', replicated, lambda found: len(found) > before)
    until('site_b_knows_the_servers', lambda: protector('tenant-b', 'protection-group', 'show', GROUP),
          lambda shown: shown['facts_complete'] is True)

    say('site-a is gone')
    lab_sh('site', 'down', 'a')
    code, out, err, seconds = killed_engine.failover('unplanned_failover', tenant_b, 'tenant-b', GROUP, '--type', 'unplanned', '--yes',
                                                     '--network-mapping', 'front=dr-front', '--network-mapping', 'back=dr-back')
    check('unplanned_failover_completes', code == 0, out[-1500:] + err[-1500:])
    if code == 0:
        look(tenant_b, json.loads(out), disks, addresses, markers)

    say('site-a comes back')
    returned_at = way_back.now()
    lab_sh('site', 'up', 'a')
    way_back.fence(tenant_a, servers, returned_at)
    for server in servers:
        now = tenant_a.compute.get_server(server.id)
        check('%s_is_not_harmed_at_site_a' % server.name, now.status in ('ACTIVE', 'SHUTOFF') and disks_of(tenant_a, server) == disks[server.name],
              (now.status, disks_of(tenant_a, server)))
        for device, volume_id in disks[server.name]:
            found = control('GET', content('fa-a', volume_id))
            check('%s_%s_is_as_it_was_at_site_a' % (server.name, device.rsplit('/', 1)[-1]), markers[server.name, device] in json.dumps(found), found)
    client('tenant-b', 'protector', 'protection-group', 'sync-force', GROUP)
    shown = protector('tenant-a', 'protection-group', 'show', GROUP)
    check('site_a_learns_where_the_group_runs', shown['status'] == 'failed_over' and shown['current_primary_site'] == 'site-b', shown)
    if code == 0:
        say('the group goes back to site-a')
        say('it took %.1f s' % way_back.run(world, GROUP, servers, disks, addresses))
    return seconds


def nothing_twice(tenant_b):
    """Of all that this run has brought to site-b: the planned failover's three servers and these two, with their disks and ports."""
    servers = list(tenant_b.compute.servers())
    volumes = list(tenant_b.block_storage.volumes(details=True))
    ports = list(tenant_b.network.ports(project_id=tenant_b.current_project_id))
    attached = [volume_id for server in servers for _, volume_id in disks_of(tenant_b, server)]
    clones = [v['name'] for v in control('GET', '/arrays/fa-b/state')['volumes'] if v['name'].startswith('dr-')]
    check('nothing_is_at_site_b_twice_or_left_over',
          sorted(s.name for s in servers) == ['bed', 'db', 'desk', 'gate', 'web'] and sorted(v.id for v in volumes) == sorted(attached)
          and len(attached) == 7 and len(ports) == 6 and all(p.device_id for p in ports) and not clones,
          {'servers': [s.name for s in servers], 'volumes': [(v.id, v.status) for v in volumes], 'ports': [(p.id, p.device_id) for p in ports], 'clones': clones})


def look(tenant_b, operation, disks, addresses, markers):
    created = {made['name']: made['id'] for made in operation['result_data']['instances_created']}
    check('unplanned_result_names_instances_and_snapshot', sorted(created) == ['bed', 'desk'] and operation['result_data']['snapshot']['created'], operation)
    for name, server_id in created.items():
        server = tenant_b.compute.get_server(server_id)
        now = {net.replace('dr-', ''): [a['addr'] for a in list_] for net, list_ in server.addresses.items()}
        was = {net: [a['addr'] for a in list_] for net, list_ in addresses[name].items()}
        check('%s_is_up_at_site_b' % name, server.status == 'ACTIVE' and now == was, (server.status, now, was))
        new = disks_of(tenant_b, server)
        check('%s_has_its_volumes_at_site_b' % name, [d for d, _ in new] == [d for d, _ in disks[name]], new)
        for device, volume_id in new:
            found = control('GET', content('fa-b', volume_id))
            check('%s_%s_holds_what_was_replicated' % (name, device.rsplit('/', 1)[-1]), markers[name, device] in json.dumps(found), found)
    shown = protector('tenant-b', 'protection-group', 'show', GROUP)
    check('the_ward_runs_at_site_b', shown['status'] == 'failed_over' and shown['current_primary_site'] == 'site-b' and shown['epoch'] == 2, shown)
    nothing_twice(tenant_b)
