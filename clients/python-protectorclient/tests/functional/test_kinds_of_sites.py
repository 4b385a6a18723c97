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

"""Sites that are not like each other, or more than others are.

Two regions of one Keystone; a tenant with other names at the other site; a
site with a certificate authority of its own.
"""

import json
import pathlib


def moved(world):
    """Protect a server and move it, by plain commands; the group's name."""
    group = world.group()
    world.policy(group)
    server = world.boot('web-of-' + group)
    world.show('site-a', 'protection-group', 'member-add', group,
               '--instance-id', server)
    ended = world.ok('site-a', 'protector', 'protection-group', 'failover',
                     group, '--type', 'planned', '--wait', '-f', 'json')
    operation = ended.json()
    assert (operation['status'], operation['progress']) == (
        'completed', 100), operation
    there = world.ok('site-b', 'server', 'list', '-f', 'json').json()
    assert [(server['Name'], server['Status']) for server in there] == [
        ('web-of-' + group, 'ACTIVE')], there
    for cloud in ('site-a', 'site-b'):
        shown = world.show(cloud, 'protection-group', 'show', group)
        assert shown['status'] == 'failed_over', shown
        assert shown['current_primary_site'] == 'site-b', shown
        assert shown['sync_status'] == 'synced', shown
    return group


def test_p3_two_regions_of_one_keystone_by_plain_commands(regions):
    entries = json.loads(
        pathlib.Path(regions.about['clouds_yaml']).read_text())['clouds']
    here, there = entries['site-a'], entries['site-b']
    assert here.pop('region_name') != there.pop('region_name')
    assert here == there
    # The region of a site is what the site itself says; its user is known.
    for site, kind in (('site-a', 'primary'), ('site-b', 'secondary')):
        region = regions.sites[site]['region']
        made = regions.show(
            'site-a-admin', 'site', 'create', '--name', site,
            '--site-type', kind, '--region-name', region,
            '--auth-url', regions.sites[site]['auth_url'])
        assert made['region_name'] == region, made
        assert made['has_service_credentials'] is True, made
    for cloud in ('site-a-admin', 'site-b-admin'):
        local = {row['name']: row['is_local'] for row in regions.show(
            cloud, 'site', 'list', '--long')}
        assert local == {'site-a': cloud.startswith('site-a'),
                         'site-b': cloud.startswith('site-b')}
        for site in ('site-a', 'site-b'):
            found = regions.show(cloud, 'site', 'validate', site)
            assert found['status'] == 'active', found
    moved(regions)


def test_t7_a_tenant_with_other_names_by_plain_commands(other_names):
    for site, kind in (('site-a', 'primary'), ('site-b', 'secondary')):
        secret = other_names.directory / ('%s.secret' % site)
        secret.write_text('%s-protector\n' % site)
        other_names.show(
            'site-a-admin', 'site', 'create', '--name', site,
            '--site-type', kind, '--region-name', 'RegionOne',
            '--auth-url', other_names.sites[site]['auth_url'])
    for cloud, other in (('site-a', 'site-b'), ('site-b', 'site-a')):
        other_names.ok(
            cloud + '-admin', 'protector', 'site', 'set', other,
            '--service-username', 'protector', '--service-password-file',
            str(other_names.directory / ('%s.secret' % other)),
            '--service-project', 'service', '--service-user-domain',
            'Default')
    token = {site: other_names.ok(site, 'token', 'issue', '-f', 'json').json()
             for site in ('site-a', 'site-b')}
    other_names.ok(
        'site-a-admin', 'dr', 'tenant', 'mapping', 'create',
        '--local-tenant', token['site-a']['project_id'],
        '--remote-site', 'site-b',
        '--remote-tenant', token['site-b']['project_id'])
    entries = json.loads(
        pathlib.Path(other_names.about['clouds_yaml']).read_text())['clouds']
    there = entries['site-b']['auth']
    assert (there['username'], there['project_name'],
            there['project_domain_name']) == ('alice', 'shop-dr', 'recovery')
    moved(other_names)


def test_c14_a_site_with_its_own_authority_by_plain_commands(behind_tls):
    entries = json.loads(
        pathlib.Path(behind_tls.about['clouds_yaml']).read_text())['clouds']
    assert entries['site-b']['auth']['auth_url'].startswith('https://')
    assert entries['site-b']['cacert']
    moved(behind_tls)


def test_c14_an_unknown_authority_is_named_and_never_trusted(behind_tls):
    group = behind_tls.group()
    path = pathlib.Path(behind_tls.about['clouds_yaml'])
    known = json.loads(path.read_text())
    for entry in known['clouds'].values():
        entry.pop('cacert', None)
    ignorant = behind_tls.directory / 'ignorant.yaml'
    ignorant.write_text(json.dumps(known))
    refused = behind_tls.openstack(
        'site-a', 'protector', 'protection-group', 'set', group,
        '--description', 'unheard',
        env={'OS_CLIENT_CONFIG_FILE': str(ignorant)})
    assert refused.code != 0, refused
    host = behind_tls.sites['site-b']['auth_url'].split('/')[2]
    for part in ('certificate', host.split(':')[0], host.split(':')[1],
                 'cacert', 'clouds.yaml', 'Nothing was sent'):
        assert part in refused.err, (part, refused)
    shown = behind_tls.show('site-a', 'protection-group', 'show', group)
    assert shown['description'] != 'unheard', shown
