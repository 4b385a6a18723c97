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

"""Protection groups, as a tenant types them."""

import json

from tests.functional import world as worlds

CREATED = {'id', 'name', 'description', 'status', 'replication_type',
           'primary_site', 'secondary_site', 'current_primary_site',
           'consistency_group_id', 'failover_count', 'created_at'}


def test_c1_help_and_version(world):
    helped = world.ok('site-a', 'protector', '--help')
    for command in ('protection-group create', 'site list',
                    'operation show'):
        assert command in helped.out, helped
    version = world.ok('site-a', 'protector', '--version')
    assert '0.1.0' in version.out + version.err, version


def test_c3_create_takes_the_options_and_prints_the_fields(world):
    made = world.show(
        'site-a', 'protection-group', 'create', '--name', 'c3',
        '--description', 'of a test', '--replication-type', 'async',
        '--primary-site', 'site-a', '--secondary-site', 'site-b',
        '--volume-type', worlds.VOLUME_TYPE, '--wait')
    assert set(made) == CREATED, made
    assert made['status'] == 'active'
    assert made['description'] == 'of a test'
    assert made['replication_type'] == 'async'
    assert (made['primary_site'], made['secondary_site'],
            made['current_primary_site']) == ('site-a', 'site-b', 'site-a')
    assert made['failover_count'] == 0
    assert made['consistency_group_id']
    there = world.show('site-b', 'protection-group', 'show', 'c3')
    assert there['id'] == made['id']


def test_c4_groups_are_listed_shown_set_and_deleted(world):
    listed = world.show('site-a', 'protection-group', 'list', '--name',
                        'nobody')
    assert listed == []
    group = world.group()
    listed = world.show('site-a', 'protection-group', 'list')
    assert group in [row['name'] for row in listed]
    world.ok('site-a', 'protector', 'protection-group', 'set', group,
             '--description', 'another')
    for cloud in ('site-a', 'site-b'):
        shown = world.show(cloud, 'protection-group', 'show', group)
        assert shown['description'] == 'another'
        assert shown['version'] == 2
    world.ok('site-a', 'protector', 'protection-group', 'delete', group)
    for cloud in ('site-a', 'site-b'):
        worlds.eventually(
            lambda: world.show(cloud, 'protection-group', 'list', '--name',
                               group),
            lambda rows: rows == [])


def test_c5_the_policy_and_its_tokens(world):
    group = world.group()
    made = world.show('site-a', 'protection-group', 'policy-create', group,
                      *world.policy_options(group), stdin=world.tokens())
    assert made['pure_pg_name'] == 'pg-' + group
    shown = worlds.eventually(
        lambda: world.show('site-a', 'protection-group', 'policy-show',
                           group),
        lambda policy: policy['status'] != 'applying')
    assert shown['status'] == 'active', shown
    assert (shown['replication_interval'], shown['rpo_minutes']) == (300, 15)
    assert '-token' not in json.dumps([made, shown])
    again = world.openstack(
        'site-a', 'protector', 'protection-group', 'policy-create', group,
        *world.policy_options(group), stdin=world.tokens())
    assert again.code != 0 and 'policy already' in again.err, again


def test_c6_members_are_added_listed_shown_and_removed(world):
    group = world.group()
    world.policy(group)
    server = world.boot('c6-web', disks=2)
    added = world.show('site-a', 'protection-group', 'member-add', group,
                       '--instance-id', server)
    assert set(added) == {'id', 'instance_id', 'instance_name', 'status',
                          'volumes_added'}, added
    assert added['instance_id'] == server
    assert added['instance_name'] == 'c6-web'
    assert added['status'] == 'protected'
    assert added['volumes_added'] == 2
    listed = world.show('site-a', 'protection-group', 'member-list', group)
    assert listed == [{
        'ID': added['id'], 'Instance Name': 'c6-web', 'Instance ID': server,
        'Status': 'protected', 'Volumes': 2}]
    shown = world.show('site-a', 'protection-group', 'member-show', group,
                       added['id'])
    assert shown['instance_id'] == server
    assert len(shown['volumes']) == 2
    world.ok('site-a', 'protector', 'protection-group', 'member-remove',
             group, '--member-id', added['id'])
    for cloud in ('site-a', 'site-b'):
        worlds.eventually(
            lambda: world.show(cloud, 'protection-group', 'member-list',
                               group),
            lambda rows: rows == [])
    left = world.ok('site-a', 'server', 'show', server, '-f', 'json').json()
    assert left['status'] == 'ACTIVE', left


def test_c9_the_consistency_group(world):
    group = world.group()
    shown = world.show('site-a', 'consistency-group', 'show', group)
    assert set(shown) == {
        'id', 'protection_group_id', 'volume_type_name', 'backend_name',
        'primary_cg_id', 'secondary_cg_id', 'status', 'volume_count'}, shown
    assert shown['primary_cg_id'] != shown['secondary_cg_id']


def test_c14_the_peer_is_found_or_named(world):
    group = world.group()
    entries = json.loads(open(world.about['clouds_yaml']).read())
    # Two entries lead to the other site's project: which one is meant?
    entries['clouds']['second'] = dict(entries['clouds']['site-b'])
    entries['clouds']['third'] = dict(entries['clouds']['site-b'])
    del entries['clouds']['site-b']
    doubled = world.directory / 'doubled.yaml'
    doubled.write_text(json.dumps(entries))
    env = {'OS_CLIENT_CONFIG_FILE': str(doubled)}
    words = ('protector', 'protection-group', 'set', group, '--description')
    asked = world.openstack('site-a', *(words + ('unsaid',)), env=env)
    assert asked.code != 0, asked
    assert 'second' in asked.err and 'third' in asked.err, asked
    assert '--peer-os-cloud' in asked.err, asked
    world.ok('site-a', '--peer-os-cloud', 'second',
             *(words + ('by option',)), env=env)
    env['OS_PROTECTOR_PEER_CLOUD'] = 'third'
    world.ok('site-a', *(words + ('by environment',)), env=env)
    there = world.show('site-b', 'protection-group', 'show', group)
    assert there['description'] == 'by environment', there
    assert there['version'] == 3, 'found, named, named: %s' % there
