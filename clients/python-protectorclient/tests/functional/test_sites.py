# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Sites and tenant mappings, as an administrator types them."""


def register(world, site, kind):
    secret = world.directory / ('%s.secret' % site)
    secret.write_text('%s-protector\n' % site)
    secret.chmod(0o600)
    return world.show(
        'site-a-admin', 'site', 'create', '--name', site,
        '--description', 'the cloud ' + site, '--site-type', kind,
        '--auth-url', world.sites[site]['auth_url'],
        '--region-name', 'RegionOne',
        '--service-username', 'protector',
        '--service-password-file', str(secret),
        '--service-project', 'service',
        '--service-user-domain', 'Default')


def test_c2_sites_are_written_on_both_sides(strangers):
    for site, kind in (('site-a', 'primary'), ('site-b', 'secondary')):
        made = register(strangers, site, kind)
        assert (made['name'], made['site_type']) == (site, kind), made
    for cloud in ('site-a-admin', 'site-b-admin'):
        listed = strangers.show(cloud, 'site', 'list')
        assert set(listed[0]) == {
            'id', 'name', 'type', 'auth_url', 'status'}, listed
        assert {site['name']: site['status'] for site in listed} == {
            'site-a': 'active', 'site-b': 'active'}
    shown = strangers.show('site-b-admin', 'site', 'show', 'site-a')
    assert shown['auth_url'] == strangers.sites['site-a']['auth_url']
    assert shown['description'] == 'the cloud site-a'


def test_c2_validate_reports_and_ends_normally(world):
    fine = world.show('site-a-admin', 'site', 'validate', 'site-b')
    assert fine['status'] == 'active', fine
    world.down('site-b')
    try:
        dead = world.show('site-a-admin', 'site', 'validate', 'site-b')
        assert dead['status'] == 'unreachable', dead
    finally:
        world.heal('site-b')
    world.ok('site-a-admin', 'protector', 'site', 'validate', 'site-b')


def test_c2_validate_looks_from_both_sides(world):
    shown = world.show('site-a-admin', 'site', 'validate', 'site-b')
    found = {(check['direction'], check['name']): check
             for check in shown['checks']}
    for direction in ('site-a -> site-b', 'site-b -> site-a'):
        for name in ('keystone', 'service_credentials', 'clock', 'compute',
                     'volume_types', 'volume_services', 'volume_manage',
                     'trust_roles', 'cinder_group_type'):
            assert found[direction, name]['ok'], shown
    for name in ('release', 'clocks'):
        assert found['site-a <-> site-b', name]['ok'], shown
    text = world.ok('site-a-admin', 'protector', 'site', 'validate',
                    'site-b').out
    assert 'ok     site-b -> site-a keystone: ' in text, text
    world.down('site-b')
    try:
        dead = world.show('site-a-admin', 'site', 'validate', 'site-b')
    finally:
        world.heal('site-b')
    world.ok('site-a-admin', 'protector', 'site', 'validate', 'site-b')
    back = [check for check in dead['checks']
            if check['direction'] == 'site-b -> site-a']
    assert [(check['name'], check['ok']) for check in back] == [
        ('protector', False)], dead
    assert 'was not asked' in back[0]['message'], dead


def test_c2_types_that_replicate_are_listed(world):
    for site in ('site-a', 'site-b'):
        types = world.show('site-a-admin', 'site', 'list-volume-types', site)
        assert [kind['name'] for kind in types] == ['replicated-ssd'], types
        assert set(types[0]) == {
            'id', 'name', 'replication_enabled', 'replication_type'}, types
        assert types[0]['replication_type'] == '<in> async', types


def test_c11_a_mapping_reaches_the_remote_site_by_itself(world):
    project = {}
    for site in ('site-a', 'site-b'):
        token = world.ok('%s-admin' % site, 'token', 'issue', '-f',
                         'json').json()
        project[site] = token['project_id']
    remote = world.show('site-a-admin', 'site', 'show', 'site-b')['id']
    made = world.ok(
        'site-a-admin', 'dr', 'tenant', 'mapping', 'create',
        '--local-tenant', project['site-a'], '--remote-site', remote,
        '--remote-tenant', project['site-b'], '--description', 'of a test',
        '-f', 'json').json()
    here = world.show('site-a-admin', 'tenant', 'mapping', 'show',
                      made['id'])
    there = world.show('site-b-admin', 'tenant', 'mapping', 'show',
                       made['id'])
    assert (here['local_tenant'], here['remote_tenant']) == (
        there['remote_tenant'], there['local_tenant'])
    assert here['description'] == 'of a test'
    listed = world.show('site-a-admin', 'tenant', 'mapping', 'list')
    assert made['id'] in [row['id'] for row in listed]
    world.ok('site-a-admin', 'dr', 'tenant', 'mapping', 'delete', made['id'])
    for cloud in ('site-a-admin', 'site-b-admin'):
        gone = world.openstack(cloud, 'protector', 'tenant', 'mapping',
                               'show', made['id'])
        assert gone.code != 0, gone
