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

"""A failover, as a tenant types it."""

import re

from tests.functional import world as worlds

TIME = r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*Z'

#: a new group, as the documents show one that is in sync
IN_SYNC = r"""Sync Status: \S+ IN SYNC

Local Metadata:
  Version: 1
  Current Site: site-a
  Last Modified: {0}

Remote Sync:
  Status: SYNCED
  Remote Version: 1
  Last Sync: {0} \(\d+ \w+ ago\)

Validation:
  \S+ Versions match \(1 = 1\)
  \S+ Sync status is 'synced'
  \S+ Last sync is recent

Both sites have identical metadata\.
$""".format(TIME)

#: the same where the other site doesn't answer
UNREACHABLE = r"""Sync Status: \S+ UNREACHABLE

Local Metadata:
  Version: 1
  Current Site: site-a
  Last Modified: {0}

Remote Sync:
  Status: UNREACHABLE
  Remote Version: 1 \(last known\)
  Last Sync: {0} \(\d+ \w+ ago\)

Validation:
  \S+ site-b is not reachable: .+
  \S+ Sync status is 'unreachable'

Action: Wait for the remote site to recover, then run:
openstack protector protection-group sync-force %s
$""".format(TIME)

#: and where a change did not reach it
OUT_OF_SYNC = r"""Sync Status: \S+ OUT OF SYNC

Local Metadata:
  Version: 2
  Current Site: site-a
  Last Modified: {0}

Remote Sync:
  Status: PENDING
  Remote Version: 1
  Last Sync: {0} \(\d+ \w+ ago\)

Validation:
  \S+ Versions differ \(2 != 1\)
  \S+ Sync status is 'pending'

Action: Run:
openstack protector protection-group sync-force %s
$""".format(TIME)

FORCED = r"""Force Sync Initiated\.\.\.

Checking remote site connectivity\.\.\.
  \S+ site-b is reachable

Syncing metadata \(version 2\)\.\.\.
  Gathering current metadata\.\.\. \S+
  Calculating checksum\.\.\. \S+
  Pushing to site-b\.\.\. \S+

Remote Site Response:
  Status: success
  Version: 2
  Duration: \d+ms

\S+ Sync completed successfully
Both sites now at version 2
$"""


def test_c12_a_planned_failover_and_its_operation(world):
    group = world.group()
    world.policy(group)
    server = world.boot('c12-web')
    world.show('site-a', 'protection-group', 'member-add', group,
               '--instance-id', server)
    none = world.show('site-a', 'operation', 'list', '--protection-group',
                      group)
    assert none == []
    ended = world.ok('site-a', 'protector', 'protection-group', 'failover',
                     group, '--type', 'planned', '--wait', '-f', 'json')
    operation = ended.json()
    assert operation['status'] == 'completed', operation
    assert operation['progress'] == 100
    assert operation['steps_completed'] == [
        'prepare', 'storage_failover', 'instance_recreation',
        'finalization']
    assert '100%' in ended.err, ended
    listed = world.show('site-a', 'operation', 'list', '--protection-group',
                        group)
    assert len(listed) == 1
    assert set(listed[0]) == {'ID', 'PROTECTION_GROUP', 'TYPE', 'STATUS',
                              'PROGRESS', 'STARTED_AT'}
    assert (listed[0]['TYPE'], listed[0]['STATUS'],
            listed[0]['PROGRESS']) == ('failover', 'completed', 100)
    shown = world.show('site-a', 'operation', 'show', operation['id'])
    created = shown['result_data']['instances_created']
    assert [made['name'] for made in created] == ['c12-web']
    new = world.ok('site-b', 'server', 'show', created[0]['id'], '-f',
                   'json').json()
    assert new['status'] == 'ACTIVE'
    old = world.ok('site-a', 'server', 'show', server, '-f', 'json').json()
    assert old['status'] == 'SHUTOFF'
    there = world.show('site-b', 'protection-group', 'show', group)
    assert there['status'] == 'failed_over'
    assert there['current_primary_site'] == 'site-b'


def test_c7_sync_status_in_its_forms(world):
    group = world.group()
    same = world.ok('site-a', 'protector', 'protection-group',
                    'sync-status', group)
    assert re.match(IN_SYNC, same.out), same
    facts = world.show('site-a', 'protection-group', 'sync-status', group)
    assert facts['sync_status'] == 'IN SYNC', facts
    world.down('site-b')
    try:
        dead = world.ok('site-a', 'protector', 'protection-group',
                        'sync-status', group)
        assert re.match(UNREACHABLE % group, dead.out), dead
    finally:
        world.heal('site-b')
    worlds.eventually(
        lambda: world.show('site-a', 'protection-group', 'sync-status',
                           group),
        lambda facts: facts['sync_status'] == 'IN SYNC')


def test_c8_what_the_peer_has_not_heard_of_is_forced_there(world):
    group = world.group()
    world.untold(group, 'carried later')
    apart = world.ok('site-a', 'protector', 'protection-group',
                     'sync-status', group)
    assert re.match(OUT_OF_SYNC % group, apart.out), apart
    forced = world.ok('site-a', 'protector', 'protection-group',
                      'sync-force', group)
    assert re.match(FORCED, forced.out), forced
    there = world.show('site-b', 'protection-group', 'show', group)
    assert (there['version'], there['description']) == (2, 'carried later')
    facts = world.show('site-a', 'protection-group', 'sync-status', group)
    assert facts['sync_status'] == 'IN SYNC', facts
    log = world.show('site-a', 'protection-group', 'sync-log', group)
    assert [row['event'] for row in log] == [
        'receipt', 'committed', 'receipt', 'committed'], log
    last = world.show('site-a', 'protection-group', 'sync-log', group,
                      '--limit', '1')
    assert last == log[:1]


def test_t3_a_push_that_fails_half_way(world):
    group = world.group()
    words = ('protector', 'protection-group', 'set', group, '--description')
    mapping = world.unmap()
    try:
        half = world.openstack('site-a', *(words + ('kept',)))
        assert half.code != 0
        assert 'could not be carried to site-b' in half.err, half
        assert 'sync-force %s' % group in half.err, half
        kept = world.show('site-a', 'protection-group', 'show', group)
        assert (kept['version'], kept['description'], kept['sync_status']) \
            == (2, 'kept', 'failed'), kept
        there = world.show('site-b', 'protection-group', 'show', group)
        assert there['version'] == 1, there
        facts = world.show('site-a', 'protection-group', 'sync-status',
                           group)
        assert facts['remote_status'] == 'FAILED', facts
        next_ = world.openstack('site-a', *(words + ('refused',)))
        assert next_.code != 0
        assert 'Further changes are refused until it is.' in next_.err, next_
        after = world.show('site-a', 'protection-group', 'show', group)
        assert (after['version'], after['description']) == (2, 'kept'), after
    finally:
        world.map(mapping)
    world.ok('site-a', 'protector', 'protection-group', 'sync-force', group)
    facts = world.show('site-a', 'protection-group', 'sync-status', group)
    assert facts['sync_status'] == 'IN SYNC', facts
    there = world.show('site-b', 'protection-group', 'show', group)
    assert there['description'] == 'kept', there
    world.ok('site-a', *(words + ('taken again',)))


def test_c15_a_change_while_the_peer_is_unreachable(world):
    group = world.group()
    before = world.show('site-a', 'protection-group', 'show', group)
    world.down('site-b')
    try:
        refused = world.openstack(
            'site-a', 'protector', 'protection-group', 'set', group,
            '--description', 'untold')
    finally:
        world.heal('site-b')
    assert refused.code != 0
    wanted = (
        'Error: Cannot modify protection group - remote site unreachable.\n'
        'Reason: Modification requires both sites to be reachable to '
        'prevent metadata divergence.\n'
        'Action: Wait for the remote site to recover, then run:\n'
        'openstack protector protection-group sync-force %s\n' % group)
    assert wanted in refused.err, refused
    after = world.show('site-a', 'protection-group', 'show', group)
    assert (after['version'], after['description']) == (
        before['version'], before['description'])
