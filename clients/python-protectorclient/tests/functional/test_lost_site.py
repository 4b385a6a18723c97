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

from tests.functional import world as worlds


def test_o2_a_silent_site_is_asked_nothing_until_all_is_up(unhurried):
    world = unhurried
    group = world.group()
    world.policy(group)
    server = world.boot('silent-web')
    world.show('site-a', 'protection-group', 'member-add', group,
               '--instance-id', server)
    world.advance_arrays(301)
    worlds.eventually(
        lambda: world.openstack('site-b', 'protector', 'protection-group',
                                'preflight', group, '--type', 'unplanned'),
        lambda ended: ended.code == 0)
    world.silence('site-a')
    try:
        before = world.knocks('site-a')
        operation = world.show(
            'site-b', 'protection-group', 'failover', group, '--type',
            'unplanned', '--yes')
        ended = worlds.eventually(
            lambda: world.show('site-b', 'operation', 'show',
                               operation['id']),
            lambda seen: seen['status'] in ('completed', 'failed'))
        assert ended['status'] == 'completed', ended
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
