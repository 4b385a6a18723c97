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


"""The day when a site falls silent, as a tenant of the other one has it."""

import json

from tests.functional import world as worlds


def ready(world, name=None):
    """A group of one server that site-b could take over."""
    group = world.group()
    world.policy(group)
    server = world.boot(name or '%s-web' % group)
    world.show('site-a', 'protection-group', 'member-add', group,
               '--instance-id', server)
    world.advance_arrays(301)
    worlds.eventually(
        lambda: world.openstack('site-b', 'protector', 'protection-group',
                                'preflight', group, '--type', 'unplanned'),
        lambda ended: ended.code == 0)
    return group


def take_over(world, group):
    """The operation by which site-b has taken it over."""
    operation = world.show(
        'site-b', 'protection-group', 'failover', group, '--type',
        'unplanned', '--yes')
    ended = worlds.eventually(
        lambda: world.show('site-b', 'operation', 'show', operation['id']),
        lambda seen: seen['status'] in ('completed', 'failed'))
    assert ended['status'] == 'completed', ended
    return ended


def test_o2_a_silent_site_is_asked_nothing_until_all_is_up(unhurried):
    world = unhurried
    group = ready(world, 'silent-web')
    world.silence('site-a')
    try:
        before = world.knocks('site-a')
        ended = take_over(world, group)
        # Only later is the lost site asked whether it can be fenced.
        assert world.knocks('site-a') == before
        made = ended['result_data']['instances_created'][0]['id']
        new = world.ok('site-b', 'server', 'show', made, '-f',
                       'json').json()
        assert (new['name'], new['status']) == ('silent-web', 'ACTIVE')
    finally:
        world.heal('site-a')
    # The news reaches the other site with the next command.
    world.ok('site-b', 'protector', 'protection-group', 'sync-force', group)
    there = world.show('site-a', 'protection-group', 'show', group)
    assert there['current_primary_site'] == 'site-b', there


def taken_over(world, before_the_loss):
    """A group that site-b has taken over; site-a is there again."""
    group = ready(world)
    before_the_loss(group)
    world.down('site-a')
    try:
        take_over(world, group)
    finally:
        world.heal('site-a')
    return group


def test_t3_an_edit_that_was_lost_is_applied_again(world):
    group = taken_over(
        world, lambda group: world.untold(group, 'never crossed'))
    reapply = ('protector', 'protection-group', 'sync-reapply', group)
    world.ok('site-b', 'protector', 'protection-group', 'sync-force', group)
    log = world.ok('site-a', 'protector', 'protection-group', 'sync-log',
                   group)
    assert "description: '' -> 'never crossed' (not in" in log.out, log
    (line,) = [row for row in world.show('site-a', 'protection-group',
                                         'sync-log', group)
               if row['event'] == 'superseded']
    edit = line['lost_edit']
    assert edit['document']['description'] == 'never crossed', line
    assert ' '.join(reapply + ('--edit', edit['id'])) in log.err, log
    for cloud in ('site-a', 'site-b'):
        shown = world.show(cloud, 'protection-group', 'show', group)
        assert shown['description'] == '', shown
    # Whichever site is asked, it is applied where the group runs.
    (row,) = world.ok('site-a', *(reapply + ('-f', 'json'))).json()
    assert (row['edit'], row['result']) == (edit['id'], 'applied'), row
    shown = [world.show(cloud, 'protection-group', 'show', group)
             for cloud in ('site-a', 'site-b')]
    for one in shown:
        assert one['description'] == 'never crossed', one
        assert one['current_primary_site'] == 'site-b', one
    assert shown[0]['version'] == shown[1]['version'], shown
    last = world.show('site-a', 'protection-group', 'sync-log', group,
                      '--limit', '1')[0]
    assert (last['event'], last['version']) == (
        'reapplied', line['version']), last
    again = world.ok('site-b', *(reapply + ('-f', 'json')))
    assert again.json()[0]['result'] == 'applied before', again
    assert 'applied again already' in again.err, again
    after = world.show('site-b', 'protection-group', 'show', group)
    assert after['version'] == shown[1]['version'], after


def test_t3_what_can_not_be_applied_again_is_told(world):
    nothing = world.group()
    refused = world.openstack('site-a', 'protector', 'protection-group',
                              'sync-reapply', nothing)
    assert refused.code == 1 and 'none was lost' in refused.err, refused
    late = world.boot('late')
    group = taken_over(
        world, lambda group: world.untold_member(group, late))
    # The news are brought by the way.
    ended = worlds.eventually(
        lambda: world.openstack('site-b', 'protector', 'protection-group',
                                'sync-reapply', group, '-f', 'json'),
        lambda ended: ended.out)
    assert ended.code == 1, ended
    (row,) = json.loads(ended.out)
    assert row['change'] == 'member added: late (server %s)' % late, row
    assert row['result'] == 'not applied', row
    assert 'member-add %s --instance-id %s' % (group, late) \
        in row['remedy'], row
    members = world.show('site-b', 'protection-group', 'member-list', group)
    assert len(members) == 1, members
