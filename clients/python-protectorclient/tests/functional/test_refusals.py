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

"""What users get wrong and what goes wrong for them, as they see it."""

import uuid

import pytest

NOBODY = str(uuid.uuid4())
STRANGE = ('../x', 'a' * 300, u'\U0001f419', "' OR '1'='1", NOBODY)

#: commands with a place for something that isn't there
PLACES = (
    ('protection-group', 'show', '{}'),
    ('protection-group', 'set', '{}', '--description', 'x'),
    ('protection-group', 'member-list', '{}'),
    ('protection-group', 'failover', '{}', '--type', 'planned'),
    ('operation', 'show', '{}'),
    ('operation', 'retry', '{}'),
    ('protection-group', 'member-add', '{group}', '--instance-id', '{}'),
    ('protection-group', 'member-show', '{group}', '{}'),
)


@pytest.fixture(scope='module')
def group(world):
    """A protection group with a policy and one server."""
    name = world.group()
    world.policy(name)
    server = world.boot('refused-' + name)
    world.show('site-a', 'protection-group', 'member-add', name,
               '--instance-id', server)
    return name, server


def refused(world, *words):
    """What is said by a command that has to be refused."""
    ended = world.openstack('site-a', 'protector', *words)
    assert ended.code != 0, ended
    assert 'Traceback' not in ended.err + ended.out, ended
    assert len(ended.err.strip()) > 10, ended
    return ended.err


@pytest.mark.parametrize('place', PLACES, ids='-'.join)
def test_c4_what_is_not_there_is_named(world, group, place):
    # All texts by the one command, one by the others: a start is slow.
    some = STRANGE if place == PLACES[0] else STRANGE[:1]
    for name in some:
        said = refused(world, *[
            word.format(name, group=group[0]) for word in place])
        assert name[:40] in said, said


def test_c6_a_server_that_cannot_be_protected(world, group):
    server = world.control('POST', 'site-a/servers', {
        'name': 'foreign', 'disks': 1, 'volume_type': 'plain'})['id']
    said = refused(world, 'protection-group', 'member-add', group[0],
                   '--instance-id', server)
    assert 'volume type mismatch' in said and 'Retype them' in said, said
    other = world.group()
    said = refused(world, 'protection-group', 'member-add', other,
                   '--instance-id', group[1])
    assert 'protected already' in said and group[0] in said, said
    assert 'Remove it there first' in said, said


def failed(world, group, *mappings):
    """What is said by a failover that is taken back."""
    name, server = group
    said = refused(world, 'protection-group', 'failover', name, '--type',
                   'planned', '--wait', *mappings)
    there = world.ok('site-a', 'server', 'show', server, '-f', 'json').json()
    assert there['status'] == 'ACTIVE', there
    shown = world.show('site-a', 'protection-group', 'show', name)
    assert shown['status'] == 'active', shown
    assert 'was taken back' in said and 'start it again' in said, said
    return said


def test_c12_a_mapping_that_is_missing(world, group):
    said = failed(world, group, '--network-mapping', 'demo-net=nowhere')
    assert "'nowhere'" in said and '--network-mapping' in said, said


def test_c12_no_room_at_the_target(world, group):
    world.control('PUT', 'site-b/settings',
                  {'compute_quotas': {'instances': 0}})
    try:
        said = failed(world, group)
    finally:
        world.control('PUT', 'site-b/settings',
                      {'compute_quotas': {'instances': 100}})
    assert 'Quota exceeded' in said and 'instances' in said, said


def test_c12_no_room_any_more(world, group):
    full = ("Quota exceeded for instances: Requested 1, but already used "
            "10 of 10 instances")
    world.control('POST', 'site-b/faults/rules', {
        'method': 'POST', 'path': '/servers$', 'times': 1,
        'action': {'kind': 'status', 'status': 403, 'body': {
            'forbidden': {'code': 403, 'message': full}}}})
    said = failed(world, group)
    assert full in said and 'Make room there' in said, said
