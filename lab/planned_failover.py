"""planned_failover.py LAB : a tenant's group moves from the real site-a to the real site-b.

What a user does goes through `openstack protector ...` alone; what came of it is looked at with the ordinary
`openstack` and `cinder` clients, and through the arrays' control interface (the data). Every run has names of its
own, so the lab can be used again and again. Each check is a line of JSON, and so is the summary at the end.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import amqp
import openstack
import yaml

LAB = pathlib.Path(sys.argv[1]).resolve()
RUN = '%x' % int(time.time())
CONTROL = 'http://127.0.0.1:17070/control'
TOKENS = {'site-a': 'aaaaaaaa-0000-4000-8000-00000000000a', 'site-b': 'bbbbbbbb-0000-4000-8000-00000000000b'}
ARRAYS = {'site-a': ('fa-a', 'https://127.0.0.1:18443'), 'site-b': ('fa-b', 'https://127.0.0.1:28443')}
KEYSTONES = {'site-a': 'http://127.0.0.1:15000/v3', 'site-b': 'http://127.0.0.1:25000/v3'}
BROKER = '127.0.0.1:15671'
TYPE = 'replicated-ssd'
GROUP = 'shop-%s' % RUN
FIXED = '10.77.1.50'
CHECKS = []


def check(name, passed, detail=''):
    CHECKS.append({'test': name, 'passed': bool(passed)})
    print(json.dumps(CHECKS[-1]), flush=True)
    if not passed:
        print('  %s' % (detail,), flush=True)
    return passed


def say(text):
    print('%s %s' % (time.strftime('%H:%M:%S'), text), flush=True)


def client(cloud, *words, program='openstack', stdin=None, fail=True):
    """Runs an ordinary client; answers (exit code, stdout, stderr)."""
    env = {k: v for k, v in os.environ.items() if not k.startswith('OS_')}
    env.update(OS_CLIENT_CONFIG_FILE=str(LAB / 'clouds.yaml'), OS_CLOUD=cloud, PYTHONWARNINGS='ignore',
               OS_VOLUME_API_VERSION='3.62')
    if program == 'cinder':
        entry = yaml.safe_load((LAB / 'clouds.yaml').read_text())['clouds'][cloud]
        del env['OS_CLOUD']
        env.update({'OS_' + k.upper(): v for k, v in entry['auth'].items()}, OS_REGION_NAME=entry['region_name'])
    done = subprocess.run([str(LAB / 'venv/bin' / program), *words], env=env, input=stdin, text=True, capture_output=True)
    if fail and done.returncode:
        raise SystemExit('%s %s: %s%s' % (program, ' '.join(words), done.stdout, done.stderr))
    return done.returncode, done.stdout, done.stderr


def protector(cloud, *words, **options):
    """An `openstack protector` command with its answer as JSON."""
    _, out, _ = client(cloud, 'protector', *words, '-f', 'json', **options)
    return json.loads(out) if out.strip() else None


def control(method, path, body=None):
    request = urllib.request.Request(CONTROL + path, method=method, data=json.dumps(body).encode() if body else None,
                                     headers={'content-type': 'application/json'})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read() or b'null')


def at_once(*calls):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def write_clouds():
    clouds = {}
    for site, url in KEYSTONES.items():
        for name, user, project in ((site, 'admin', 'admin'), ('tenant-' + site[-1], 'owner-' + RUN, 'shop-%s-%s' % (site[-1], RUN))):
            clouds[name] = {'auth': {'auth_url': url, 'username': user, 'password': 'lab', 'project_name': project,
                                     'user_domain_name': 'Default', 'project_domain_name': 'Default'},
                            'region_name': site, 'identity_api_version': '3'}
    (LAB / 'clouds.yaml').write_text(yaml.safe_dump({'clouds': clouds}))
    os.environ['OS_CLIENT_CONFIG_FILE'] = str(LAB / 'clouds.yaml')


def prepare_site(site):
    """What an administrator and the tenant have on a site before anybody thinks of disasters."""
    admin = openstack.connect(cloud=site)
    project = admin.identity.create_project(name='shop-%s-%s' % (site[-1], RUN), domain_id='default')
    user = admin.identity.create_user(name='owner-' + RUN, password='lab', domain_id='default')
    role = admin.identity.find_role('member')
    admin.identity.assign_project_role_to_user(project, user, role)
    if not admin.block_storage.find_type(TYPE):
        admin.block_storage.create_type(name=TYPE, extra_specs={
            'replication_enabled': '<is> True', 'replication_type': '<in> async', 'volume_backend_name': 'pure'})
    if not admin.compute.find_flavor('lab.small'):
        admin.compute.create_flavor(name='lab.small', ram=64, vcpus=1, disk=0)
    tenant = openstack.connect(cloud='tenant-' + site[-1])
    prefix = '' if site == 'site-a' else 'dr-'
    for net, cidr in (('front', '10.77.1.0/24'), ('back', '10.77.2.0/24')):
        network = tenant.network.create_network(name=prefix + net)
        tenant.network.create_subnet(name=prefix + net, network_id=network.id, cidr=cidr, ip_version=4, enable_dhcp=False)
    group = tenant.network.create_security_group(name='web')
    tenant.network.create_security_group_rule(security_group_id=group.id, direction='ingress', protocol='tcp',
                                              port_range_min=443, port_range_max=443)
    return tenant, project


def volume(tenant, name, size, bootable):
    made = tenant.block_storage.create_volume(name=name, size=size, volume_type=TYPE)
    made = tenant.block_storage.wait_for_status(made, 'available', failures=['error'], interval=1, wait=120)
    if bootable:
        tenant.block_storage.set_volume_bootable_status(made, True)
    return made


def boot(tenant, name, disks, nets):
    """A server from a volume; nets are (network, fixed address or None)."""
    volumes = [volume(tenant, '%s-%d' % (name, i), size, i == 0) for i, size in enumerate(disks)]
    group = tenant.network.find_security_group('web', project_id=tenant.current_project_id)
    ports = []
    for net, address in nets:
        network = tenant.network.find_network(net)
        extra = {'fixed_ips': [{'ip_address': address}]} if address else {}
        ports.append(tenant.network.create_port(network_id=network.id, security_group_ids=[group.id], **extra))
    server = tenant.compute.create_server(
        name=name, flavor_id=tenant.compute.find_flavor('lab.small').id, metadata={'tier': name},
        networks=[{'port': port.id} for port in ports],
        block_device_mapping=[{'uuid': v.id, 'source_type': 'volume', 'destination_type': 'volume',
                               'boot_index': 0 if i == 0 else -1, 'delete_on_termination': False} for i, v in enumerate(volumes)])
    return tenant.compute.wait_for_server(server, wait=240)


def disks_of(tenant, server):
    """(device, volume id) as Nova shows them."""
    found = tenant.compute.volume_attachments(server)
    return sorted((a.device, a.volume_id) for a in found)


def register_sites():
    """Both sites on both sites, each with the other's service user."""
    secret = LAB / 'service-password'
    secret.write_text('lab\n')
    secret.chmod(0o600)
    have = {site['name'] for site in protector('site-a', 'site', 'list')}
    for site, kind in (('site-a', 'primary'), ('site-b', 'secondary')):
        if site not in have:
            protector('site-a', 'site', 'create', '--name', site, '--description', 'lab', '--site-type', kind,
                      '--auth-url', KEYSTONES[site], '--region-name', site)
    for here, there in (('site-a', 'site-b'), ('site-b', 'site-a')):
        client(here, 'protector', 'site', 'set', there, '--service-username', 'protector', '--service-password-file', str(secret),
               '--service-project', 'service', '--service-user-domain', 'Default')
    for cloud in ('site-a', 'site-b'):
        sites = protector(cloud, 'site', 'list')
        check('site_list_at_%s' % cloud, {s['name'] for s in sites} >= {'site-a', 'site-b'} and all(s['status'] == 'active' for s in sites)
              and set(sites[0]) == {'id', 'name', 'type', 'auth_url', 'status'}, sites)
    code, out, err = client('site-a', 'protector', 'site', 'validate', 'site-b', fail=False)
    check('site_validate', code == 0 and 'active' in out, out + err)
    shown = protector('site-a', 'site', 'show', 'site-b')
    check('site_show', shown['auth_url'] == KEYSTONES['site-b'], shown)
    types = protector('site-a', 'site', 'list-volume-types', 'site-b')
    check('list_volume_types', [t['name'] for t in types] == [TYPE] or TYPE in [t['name'] for t in types], types)


def protect(servers, projects):
    remote = protector('site-a', 'site', 'show', 'site-b')
    _, out, _ = client('site-a', 'dr', 'tenant', 'mapping', 'create', '--local-tenant', projects['site-a'].id, '--remote-site', remote['id'],
                       '--remote-tenant', projects['site-b'].id, '--description', 'lab', '-f', 'json')
    check('tenant_mapping_create', json.loads(out)['remote_tenant'] == projects['site-b'].id, out)
    group = protector('tenant-a', 'protection-group', 'create', '--name', GROUP, '--description', 'the shop', '--replication-type', 'async',
                      '--primary-site', 'site-a', '--secondary-site', 'site-b', '--volume-type', TYPE, '--wait')
    wanted = {'id', 'name', 'status', 'replication_type', 'primary_site', 'secondary_site', 'consistency_group_id', 'failover_count'}
    check('protection_group_create', group['status'] == 'active' and wanted <= set(group), group)
    policy = protector('tenant-a', 'protection-group', 'policy-create', GROUP, '--primary-fa-url', ARRAYS['site-a'][1],
                       '--primary-fa-token', '-', '--secondary-fa-url', ARRAYS['site-b'][1], '--secondary-fa-token', '-',
                       '--pure-pg-name', 'pg-' + RUN, '--replication-interval', '300', '--rpo-minutes', '15',
                       stdin='%s\n%s\n' % (TOKENS['site-a'], TOKENS['site-b']))
    check('policy_create', policy['pure_pg_name'] == 'pg-' + RUN, policy)
    for _ in range(120):
        shown = protector('tenant-a', 'protection-group', 'policy-show', GROUP)
        if shown['status'] != 'applying':
            break
        time.sleep(1)
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


def group_volumes(cloud, group_id):
    """The volumes in a Cinder group, as `cinder group-show` prints them."""
    _, out, _ = client(cloud, '--os-volume-api-version', '3.25', 'group-show', '--list-volume=True', group_id, program='cinder')
    row = next(line for line in out.splitlines() if line.startswith('| volumes '))
    return set(re.findall(r"'([0-9a-f-]{36})'", row))


def main():
    began = time.time()
    logged = {site: engine_log(site).stat().st_size for site in KEYSTONES}
    write_clouds()
    say('preparing both sites for run %s' % RUN)
    (tenant_a, project_a), (tenant_b, project_b) = at_once(lambda: prepare_site('site-a'), lambda: prepare_site('site-b'))
    projects = {'site-a': project_a, 'site-b': project_b}
    say('booting three servers on site-a')
    servers = at_once(lambda: boot(tenant_a, 'web', [1], [('front', None)]),
                      lambda: boot(tenant_a, 'db', [1, 2], [('back', None)]),
                      lambda: boot(tenant_a, 'gate', [1], [('front', FIXED), ('back', None)]))
    register_sites()
    pair = protect(servers, projects)

    before, markers = {}, {}
    for server in servers:
        before[server.name] = {'disks': disks_of(tenant_a, server), 'server': tenant_a.compute.get_server(server.id)}
        for device, volume_id in before[server.name]['disks']:
            marker = '%s:%s:%s' % (RUN, server.name, device)
            markers[server.name, device] = marker
            control('POST', '/arrays/fa-a/content?name=' + urllib.parse.quote('volume-%s-cinder' % volume_id), {'marker': marker})
    tagged_before = {s.id for s in tenant_b.compute.servers()}
    say('planned failover')
    started = time.time()
    code, out, err = client('tenant-a', 'protector', 'protection-group', 'failover', GROUP, '--type', 'planned',
                            '--network-mapping', 'front=dr-front', '--network-mapping', 'back=dr-back', '--wait', '-f', 'json', fail=False)
    seconds = time.time() - started
    check('planned_failover_completes', code == 0, out[-1500:] + err[-1500:])
    if code:
        return finish(began, seconds)
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
            content = control('GET', '/arrays/fa-b/content?name=' + urllib.parse.quote('volume-%s-cinder' % volume_id))
            check('%s_%s_holds_the_last_data' % (name, device.rsplit('/', 1)[-1]), markers.get((name, device)) in json.dumps(content), content)
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
    return finish(began, seconds)


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


def finish(began, failover_seconds):
    failed = [c['test'] for c in CHECKS if not c['passed']]
    print(json.dumps({'lab': 'test', 'passed': len(CHECKS) - len(failed), 'failed': len(failed), 'skipped': 0, 'failures': failed,
                      'failover_seconds': round(failover_seconds, 1), 'seconds': round(time.time() - began, 1)}))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
