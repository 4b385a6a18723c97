"""The way back: site-a returns and nobody tells it anything, its old servers are stopped and locked all the same; then the
group goes back to it by the commands of docs/admin-guide.md."""
import json
import time

import openstack

from scenario import check, client, content, control, disks_of, protector, say, until

# How long an old server may run after its site is back.
FENCED_WITHIN = 60


def now():
    return time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())


def fence(tenant_a, servers, returned_at):
    """No protector client is run: only Nova is asked how the servers do."""
    # A nova-compute that starts before its conductor answers waits for a minute, and stops nothing until then.
    admin = openstack.connect(cloud='site-a')
    until('the_hypervisor_of_site_a_works_again', lambda: [(s.state, s.updated_at) for s in admin.compute.services(binary='nova-compute')],
          lambda found: any(state == 'up' and (at or '') > returned_at for state, at in found), 240)
    began = time.time()
    look = lambda: [(s.name, s.status, s.is_locked) for s in (tenant_a.compute.get_server(server.id) for server in servers)]
    until('the_old_servers_are_stopped_and_locked_with_no_client_connected', look,
          lambda found: all(status == 'SHUTOFF' and locked for _, status, locked in found), FENCED_WITHIN)
    say('fenced %.1f s after the hypervisor came back' % (time.time() - began))


def run(world, group, servers, disks, addresses):
    """How many seconds the failover back took."""
    tenant_a, tenant_b = world.tenant_a, world.tenant_b
    client('tenant-b', 'protector', 'protection-group', 'sync-force', group)
    status = protector('tenant-a', 'protection-group', 'sync-status', group)
    check('both_sites_are_in_sync_again', 'IN SYNC' in json.dumps(status).upper(), status)
    until('the_group_is_replicated_back', lambda: protector('tenant-b', 'protection-group', 'show', group),
          lambda shown: (shown['fencing'] or {}).get('replicated_back_at'))
    words = {}
    for server in [s for s in tenant_b.compute.servers() if s.name in disks]:
        for device, volume_id in disks_of(tenant_b, server):
            words[server.name, device] = 'back:%s:%s' % (server.name, device)
            control('POST', content('fa-b', volume_id), {'marker': words[server.name, device]})
    ports = {server.name: sorted(p.id for p in tenant_a.network.ports(device_id=server.id)) for server in servers}
    began = time.time()
    code, out, err = client('tenant-b', 'protector', 'protection-group', 'failover', group, '--type', 'planned', '--wait', '-f', 'json',
                            '--network-mapping', 'dr-front=front', '--network-mapping', 'dr-back=back', fail=False)
    seconds = time.time() - began
    if not check('the_way_back_completes', code == 0, out[-1500:] + err[-1500:]):
        return seconds
    created = {made['name']: made['id'] for made in json.loads(out)['result_data']['instances_created']}
    for server in servers:
        check('%s_old_server_is_gone' % server.name, tenant_a.compute.find_server(server.id) is None, server.id)
        back = tenant_a.compute.get_server(created[server.name])
        was = {net: [a['addr'] for a in list_] for net, list_ in addresses[server.name].items()}
        found = {net: [a['addr'] for a in list_] for net, list_ in back.addresses.items()}
        check('%s_is_back_with_its_addresses' % server.name, back.status == 'ACTIVE' and found == was, (back.status, found, was))
        check('%s_uses_its_ports_again' % server.name, sorted(p.id for p in tenant_a.network.ports(device_id=back.id)) == ports[server.name])
        for device, volume_id in disks_of(tenant_a, back):
            held = control('GET', content('fa-a', volume_id))
            check('%s_%s_holds_what_was_written_at_site_b' % (server.name, device.rsplit('/', 1)[-1]), words[server.name, device] in json.dumps(held), held)
        old = [tenant_a.block_storage.get_volume(volume_id) for _, volume_id in disks[server.name]]
        check('%s_old_volumes_are_kept' % server.name, all(v.status == 'available' for v in old), [(v.id, v.status) for v in old])
    shown = protector('tenant-a', 'protection-group', 'show', group)
    check('the_group_runs_at_site_a_again', shown['status'] == 'active' and shown['current_primary_site'] == 'site-a' and shown['epoch'] == 3, shown)
    return seconds
