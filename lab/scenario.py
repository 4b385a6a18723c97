"""What the scenarios of the lab share: the ordinary clients, a tenant with servers, protection, checks.

What a user does goes through `openstack protector ...` alone; what came of it is looked at with the ordinary
`openstack` and `cinder` clients, and through the arrays' control interface (the data). Every run has names of its
own, so the lab can be used again and again. Each check is a line of JSON, and so is the summary at the end.
"""
import collections
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import openstack
import yaml

LAB = pathlib.Path(sys.argv[1]).resolve()
LAB_SH = str(pathlib.Path(__file__).resolve().parent / 'lab.sh')
CLIENT = str(pathlib.Path(__file__).resolve().parent.parent / 'clients/python-protectorclient')
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
    # The client of this tree, even where the lab was installed from another one.
    env.update(OS_CLIENT_CONFIG_FILE=str(LAB / 'clouds.yaml'), OS_CLOUD=cloud, PYTHONWARNINGS='ignore',
               OS_VOLUME_API_VERSION='3.62', PYTHONPATH=CLIENT)
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


def lab_sh(thing, what, *more):
    """Ends or starts a part of the lab."""
    done = subprocess.run(['bash', LAB_SH, thing, what, str(LAB), *more], text=True, capture_output=True)
    if done.returncode:
        raise SystemExit('lab.sh %s %s: %s%s' % (thing, what, done.stdout, done.stderr))


def until(what, read, wanted, seconds=120):
    """A check that may take its time."""
    end = time.time() + seconds
    while True:
        found = read()
        if wanted(found) or time.time() > end:
            return check(what, wanted(found), found)
        time.sleep(0.5)


def json_of(tenant, service, path):
    """What an API itself answers, for what has to be seen more often than a command can be run."""
    answer = tenant.session.get(path, endpoint_filter={'service_type': service, 'interface': 'public', 'region_name': tenant.config.region_name})
    return answer.json()


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
    # By Barbican's own policy a member has nothing to do with secrets.
    for role in ('member', 'creator'):
        admin.identity.assign_project_role_to_user(project, user, admin.identity.find_role(role))
    if not admin.block_storage.find_type(TYPE):
        admin.block_storage.create_type(name=TYPE, extra_specs={
            'replication_enabled': '<is> True', 'replication_type': '<in> async', 'volume_backend_name': 'pure'})
    if not admin.compute.find_flavor('lab.small'):
        admin.compute.create_flavor(name='lab.small', ram=64, vcpus=1, disk=0)
    tenant = openstack.connect(cloud='tenant-' + site[-1])
    prefix = '' if site == 'site-a' else 'dr-'
    for net, cidr in (('front', '10.77.1.0/24'), ('back', '10.77.2.0/24')):
        network = tenant.network.create_network(name=prefix + net)
        # Drawn addresses come from the pool; the fixed one is none of it.
        start = cidr.rsplit('.', 1)[0]
        tenant.network.create_subnet(name=prefix + net, network_id=network.id, cidr=cidr, ip_version=4, enable_dhcp=False,
                                     allocation_pools=[{'start': start + '.100', 'end': start + '.199'}])
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


def map_tenants(projects):
    remote = protector('site-a', 'site', 'show', 'site-b')
    _, out, _ = client('site-a', 'dr', 'tenant', 'mapping', 'create', '--local-tenant', projects['site-a'].id, '--remote-site', remote['id'],
                       '--remote-tenant', projects['site-b'].id, '--description', 'lab', '-f', 'json')
    check('tenant_mapping_create', json.loads(out)['remote_tenant'] == projects['site-b'].id, out)


def policy_options(array_group, primary=('--primary-fa-token', '-'), secondary=('--secondary-fa-token', '-')):
    return ['--primary-fa-url', ARRAYS['site-a'][1], *primary, '--secondary-fa-url', ARRAYS['site-b'][1],
            *secondary, '--pure-pg-name', array_group, '--replication-interval', '300', '--rpo-minutes', '15']


def store_token(cloud, site):
    """The address of a secret of the tenant, in that site's Barbican."""
    _, out, _ = client(cloud, 'secret', 'store', '--name', 'array-' + RUN, '--payload', TOKENS[site], '-f', 'json')
    return json.loads(out)['Secret href']


def tokens():
    """Standard input of policy-create."""
    return '%s\n%s\n' % (TOKENS['site-a'], TOKENS['site-b'])


def await_policy(group):
    for _ in range(120):
        shown = protector('tenant-a', 'protection-group', 'policy-show', group)
        if shown['status'] != 'applying':
            break
        time.sleep(1)
    return shown


def write_markers(tenant, servers):
    """A guest's last word on each of its disks: what is on which device of whom."""
    markers = {}
    for server in servers:
        for device, volume_id in disks_of(tenant, server):
            markers[server.name, device] = '%s:%s:%s' % (RUN, server.name, device)
            control('POST', content('fa-a', volume_id), {'marker': markers[server.name, device]})
    return markers


def content(array, volume_id):
    return '/arrays/%s/content?name=%s' % (array, urllib.parse.quote('volume-%s-cinder' % volume_id))


World = collections.namedtuple('World', 'tenant_a tenant_b project_a project_b')


def prepare():
    """Both sites with a tenant of this run, known to each other."""
    write_clouds()
    say('preparing both sites for run %s' % RUN)
    (tenant_a, project_a), (tenant_b, project_b) = at_once(lambda: prepare_site('site-a'), lambda: prepare_site('site-b'))
    register_sites()
    map_tenants({'site-a': project_a, 'site-b': project_b})
    return World(tenant_a, tenant_b, project_a, project_b)


def finish(began, seconds, reconnected):
    failed = [c['test'] for c in CHECKS if not c['passed']]
    print(json.dumps({'lab': 'test', 'passed': len(CHECKS) - len(failed), 'failed': len(failed), 'skipped': 0, 'failures': failed,
                      'failover_seconds': seconds, 'reconnect_seconds': reconnected, 'seconds': round(time.time() - began, 1)}))
    return 1 if failed else 0
