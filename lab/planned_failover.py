"""Planned: a tenant's group moves from the real site-a to the real site-b."""
import json
import re

import amqp
import openstack

import killed_engine
from scenario import (BROKER, FIXED, GROUP, KEYSTONES, LAB, RUN, TOKENS, TYPE, at_once, await_policy, boot, check, client, content,
                      control, disks_of, policy_options, protector, say, tokens, write_markers)


def group_volumes(cloud, group_id):
    """The volumes in a Cinder group, as `cinder group-show` prints them."""
    _, out, _ = client(cloud, '--os-volume-api-version', '3.25', 'group-show', '--list-volume=True', group_id, program='cinder')
    row = next(line for line in out.splitlines() if line.startswith('| volumes '))
    return set(re.findall(r"'([0-9a-f-]{36})'", row))


def protect(servers):
    group = protector('tenant-a', 'protection-group', 'create', '--name', GROUP, '--description', 'the shop', '--replication-type', 'async',
                      '--primary-site', 'site-a', '--secondary-site', 'site-b', '--volume-type', TYPE, '--wait')
    wanted = {'id', 'name', 'status', 'replication_type', 'primary_site', 'secondary_site', 'consistency_group_id', 'failover_count'}
    check('protection_group_create', group['status'] == 'active' and wanted <= set(group), group)
    policy = protector('tenant-a', 'protection-group', 'policy-create', GROUP, *policy_options('pg-' + RUN), stdin=tokens())
    check('policy_create', policy['pure_pg_name'] == 'pg-' + RUN, policy)
    shown = await_policy(GROUP)
    check('policy_becomes_active_and_shows_no_token', shown['status'] == 'active' and not any(token in json.dumps(shown) for token in TOKENS.values()), shown)
    for server in servers:
        member = protector('tenant-a', 'protection-group', 'member-add', GROUP, '--instance-id', server.id)
        check('member_add', member['status'] == 'protected' and member['instance_name'] == server.name, member)
    members = protector('tenant-a', 'protection-group', 'member-list', GROUP)
    check('member_list', set(members[0]) == {'ID', 'Instance Name', 'Instance ID', 'Status', 'Volumes'}
          and sorted(m['Volumes'] for m in members) == [1, 1, 2], members)
    shown = protector('tenant-a', 'protection-group', 'member-show', GROUP, members[0]['ID'])
    check('member_show', shown['instance_name'] == members[0]['Instance Name'] and shown['status'] == 'protected', shown)
    groups = protector('tenant-a', 'protection-group', 'list')
    check('protection_group_list', [g.get('name', g.get('Name')) for g in groups] == [GROUP], groups)
    shown = protector('tenant-a', 'protection-group', 'show', GROUP)
    check('protection_group_show', shown['status'] == 'active' and shown['current_primary_site'] == 'site-a', shown)
    pair = protector('tenant-a', 'consistency-group', 'show', GROUP)
    check('consistency_group_show', pair['primary_cg_id'] and pair['secondary_cg_id'] and pair['volume_count'] == 4, pair)
    return pair


def run(world):
    """How many seconds the failover took."""
    tenant_a, tenant_b, project_b = world.tenant_a, world.tenant_b, world.project_b
    logged = {site: engine_log(site).stat().st_size for site in KEYSTONES}
    say('booting three servers on site-a')
    servers = at_once(lambda: boot(tenant_a, 'web', [1], [('front', None)]),
                      lambda: boot(tenant_a, 'db', [1, 2], [('back', None)]),
                      lambda: boot(tenant_a, 'gate', [1], [('front', FIXED), ('back', None)]))
    pair = protect(servers)

    before = {server.name: {'disks': disks_of(tenant_a, server), 'server': tenant_a.compute.get_server(server.id)} for server in servers}
    markers = write_markers(tenant_a, servers)
    tagged_before = {s.id for s in tenant_b.compute.servers()}
    say('planned failover')
    code, out, err, seconds = killed_engine.failover('planned_failover', tenant_a, 'tenant-a', GROUP, '--type', 'planned',
                                                     '--network-mapping', 'front=dr-front', '--network-mapping', 'back=dr-back')
    check('planned_failover_completes', code == 0, out[-1500:] + err[-1500:])
    if code:
        return seconds
    operation = json.loads(out)
    check('operation_shows_the_four_phases', operation['steps_completed'] == ['prepare', 'storage_failover', 'instance_recreation', 'finalization'] and operation['progress'] == 100, operation)
    operations = protector('tenant-a', 'operation', 'list', '--protection-group', GROUP)
    check('operation_list', set(operations[0]) == {'ID', 'PROTECTION_GROUP', 'TYPE', 'STATUS', 'PROGRESS', 'STARTED_AT'}
          and [o['STATUS'] for o in operations] == ['completed'], operations)
    created = operation['result_data']['instances_created']
    check('result_names_the_instances', sorted(c['name'] for c in created) == ['db', 'gate', 'web'], created)

    say('looking at site-b with the ordinary clients')
    _, out, _ = client('tenant-b', 'server', 'list', '--long', '-f', 'json')
    listed = {s['Name']: s for s in json.loads(out)}
    check('servers_are_active', {n: s['Status'] for n, s in listed.items()} == dict.fromkeys(['web', 'db', 'gate'], 'ACTIVE'), listed)
    for name in ('web', 'db', 'gate'):
        server = tenant_b.compute.find_server(name, ignore_missing=False)
        server = tenant_b.compute.get_server(server.id)
        old = before[name]['server']
        addresses = {net.replace('dr-', ''): [a['addr'] for a in list_] for net, list_ in server.addresses.items()}
        was = {net: [a['addr'] for a in list_] for net, list_ in old.addresses.items()}
        check('%s_keeps_its_addresses_in_the_mapped_networks' % name, addresses == was and all(net.startswith('dr-') for net in server.addresses), (was, dict(server.addresses)))
        check('%s_keeps_its_flavor_and_metadata' % name, server.flavor.original_name == 'lab.small' and server.metadata.get('tier') == name, server.flavor)
        disks = disks_of(tenant_b, server)
        check('%s_has_its_volumes_in_order' % name, [d for d, _ in disks] == [d for d, _ in before[name]['disks']], disks)
        for device, volume_id in disks:
            found = control('GET', content('fa-b', volume_id))
            check('%s_%s_holds_the_last_data' % (name, device.rsplit('/', 1)[-1]), markers.get((name, device)) in json.dumps(found), found)
    check('fixed_address_kept', FIXED in json.dumps(dict(tenant_b.compute.get_server(tenant_b.compute.find_server('gate').id).addresses)))

    for server in servers:
        now = tenant_a.compute.get_server(server.id)
        check('old_%s_is_stopped_and_locked' % server.name, now.status == 'SHUTOFF' and now.is_locked, now.status)
    new_ids = {v for name in before for _, v in disks_of(tenant_b, tenant_b.compute.find_server(name))}
    old_ids = {v for facts in before.values() for _, v in facts['disks']}
    check('old_volumes_are_in_the_cinder_group_of_site_a', group_volumes('tenant-a', pair['primary_cg_id']) >= old_ids,
          group_volumes('tenant-a', pair['primary_cg_id']))
    check('new_volumes_are_in_the_cinder_group_of_site_b', group_volumes('tenant-b', pair['secondary_cg_id']) >= new_ids,
          group_volumes('tenant-b', pair['secondary_cg_id']))

    shown = protector('tenant-b', 'protection-group', 'show', GROUP)
    check('the_group_is_failed_over_on_site_b', shown['status'] == 'failed_over' and shown['current_primary_site'] == 'site-b' and shown['failover_count'] == 1, shown)
    left_over(tenant_b, project_b, new_ids, tagged_before)
    look_at_the_brokers(logged)
    return seconds


def engine_log(site):
    return LAB / site / 'protector/log/protector-engine.log'


def look_at_the_brokers(logged):
    """Each site's virtual host is its broker; the queue is asked for and not made. `logged` is where each engine's log ended before."""
    seen = {}
    for site, offset in logged.items():
        with amqp.Connection(host=BROKER, userid='lab', password='lab', virtual_host=site, connect_timeout=10, read_timeout=10) as broker:
            try:
                queue = broker.channel().queue_declare('protector.engine', passive=True)
                seen[site] = {'consumers': queue.consumer_count, 'waiting': queue.message_count}
            except amqp.exceptions.ChannelError as error:
                seen[site] = {'error': str(error)}
        lines = engine_log(site).read_bytes()[offset:].decode(errors='replace').splitlines()
        seen[site]['woken'] = sum('woken by' in line and line.endswith('in queue protector.engine of virtual host %s' % site) for line in lines)
        seen[site]['woken_by_the_other'] = sum('woken by' in line and not line.endswith(' ' + site) for line in lines)
    check('each_site_wakes_its_engine_through_its_own_broker',
          all(s.get('consumers') == 1 and s['waiting'] == 0 and s['woken'] and not s['woken_by_the_other'] for s in seen.values()), seen)


def left_over(tenant_b, project_b, new_ids, servers_before):
    admin = openstack.connect(cloud='site-b')
    transfers = json.loads(client('site-b', 'volume', 'transfer', 'request', 'list', '--all-projects', '-f', 'json')[1])
    check('no_transfer_is_left', not transfers, transfers)
    service = admin.identity.find_project('service').id
    stray = [v.id for v in admin.block_storage.volumes(all_projects=True) if v.project_id == service]
    check('no_volume_is_left_in_the_service_project', not stray, stray)
    ports = list(tenant_b.network.ports(project_id=project_b.id))
    check('every_port_belongs_to_a_server', len(ports) == 4 and all(p.device_id for p in ports), ports)
    check('no_server_twice', len(list(tenant_b.compute.servers())) == 3 + len(servers_before))
    clones = [v['name'] for v in control('GET', '/arrays/fa-b/state')['volumes'] if v['name'].startswith('dr-')]
    check('every_clone_was_taken_over', not clones, clones)
    names = {v['name'] for v in control('GET', '/arrays/fa-b/state')['volumes']}
    check('volumes_are_on_the_array_by_cinders_names', {'volume-%s-cinder' % v for v in new_ids} <= names)
