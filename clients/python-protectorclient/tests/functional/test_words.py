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

"""What is typed: other words for commands, confirmations, secrets, and what
is seen on a narrow display."""

import importlib.metadata
import json
import time

from tests.functional import world as worlds

UNPLANNED = ('protector', 'protection-group', 'failover')


def commands(world, word):
    """The commands that `openstack <word> --help` lists, without it."""
    listed = world.ok('site-a', word, '--help').out.split('commands:\n')[1]
    names = [line.strip() for line in listed.splitlines() if line.strip()]
    assert all(name.startswith(word + ' ') for name in names), names
    return [name[len(word) + 1:] for name in names]


def test_c13_every_command_has_its_other_name(world):
    ours, alias = commands(world, 'protector'), commands(world, 'dr')
    assert 'protection-group create' in ours and len(ours) > 25, ours
    # `dr failover` is what the reference of the commands has.
    assert sorted(set(alias) - set(ours)) == ['failover', 'preflight'], alias
    assert sorted(set(ours) - set(alias)) == []
    # One class each, so the same options and the same output.
    found = {point.name.replace('_', ' '): point.value
             for point in importlib.metadata.entry_points(
                 group='openstack.protector.v1')}
    for name in ours:
        assert found['dr ' + name] == found['protector ' + name], name
    assert found['dr failover'] == found[
        'protector protection-group failover']


def test_c13_the_other_names_do_the_same(world):
    group = world.group()
    for words in (('site', 'show', 'site-b'),
                  ('protection-group', 'list'),
                  ('protection-group', 'sync-log', group, '--limit', '1'),
                  ('operation', 'list', '--protection-group', group)):
        same = [world.ok('site-a', word, *(words + ('-f', 'json'))).json()
                for word in ('protector', 'dr')]
        assert same[0] == same[1], words
    for words in (('protection-group', 'create'),):
        helped = [world.ok('site-a', 'help', word, *words).out
                  for word in ('protector', 'dr')]
        assert helped[0].replace('openstack protector ', 'openstack dr ') \
            .split() == helped[1].split(), helped
    changed = world.ok('site-a', 'dr', 'protection-group', 'set', group,
                       '--description', 'by the other name')
    assert changed.out == '', changed
    shown = world.show('site-b', 'protection-group', 'show', group)
    assert shown['description'] == 'by the other name'
    refused = world.openstack('site-a', 'dr', 'failover', group)
    assert refused.code == 1 and 'policy' in refused.err, refused


def test_c12_an_unplanned_failover_is_confirmed_by_name(world):
    group = world.group()
    world.policy(group)
    server = world.boot('c12-confirm')
    world.show('site-a', 'protection-group', 'member-add', group,
               '--instance-id', server)
    words = UNPLANNED + (group, '--type', 'unplanned')
    before = world.show('site-b', 'protection-group', 'show', group)

    def nothing_happened():
        assert world.show('site-b', 'operation', 'list',
                          '--protection-group', group) == []
        after = world.show('site-b', 'protection-group', 'show', group)
        for field in ('facts_read_at', 'facts_complete', 'updated_at'):
            after[field] = before[field] = None
        assert after == before

    # Nobody sits there who could be asked.
    alone = world.openstack('site-b', *words)
    assert alone.code == 1, alone
    assert 'terminal' in alone.err and '--yes' in alone.err, alone
    nothing_happened()
    for wrong in ('yes', group + 'x', ''):
        code, seen = world.typed('site-b', words,
                                 [('Type the name of the group', wrong)])
        assert code == 1, seen
        assert 'Not confirmed; nothing was changed.' in seen, seen
        assert group in seen and 'is lost' in seen, seen
    nothing_happened()
    code, seen = world.typed('site-b', words + ('-f', 'json'),
                             [('Type the name of the group', group)])
    assert code == 0, seen
    started = world.show('site-b', 'operation', 'list',
                         '--protection-group', group)
    assert len(started) == 1, started
    worlds.eventually(
        lambda: world.show('site-b', 'operation', 'show', started[0]['ID']),
        lambda operation: operation['outcome'])


def test_c12_yes_is_confirmation_enough(world):
    group = world.group()
    world.policy(group)
    server = world.boot('c12-yes')
    world.show('site-a', 'protection-group', 'member-add', group,
               '--instance-id', server)
    made = world.show('site-b', 'protection-group', 'failover', group,
                      '--type', 'unplanned', '--yes')
    assert made['operation_type'] == 'failover', made
    worlds.eventually(
        lambda: world.show('site-b', 'operation', 'show', made['id']),
        lambda operation: operation['outcome'])


def without_tokens(world, group):
    words = list(world.policy_options(group))
    for option in ('--primary-fa-token', '--secondary-fa-token'):
        at = words.index(option)
        del words[at:at + 2]
    return tuple(words)


def policy_is_active(world, group):
    """Both arrays have taken the tokens."""
    policy = worlds.eventually(
        lambda: world.show('site-a', 'protection-group', 'policy-show',
                           group),
        lambda policy: policy['status'] != 'applying')
    assert policy['status'] == 'active', policy
    assert '-token' not in json.dumps(policy)


def test_a11_tokens_are_given_by_file_or_environment(world):
    create = ('protector', 'protection-group', 'policy-create')
    files = []
    for site in ('site-a', 'site-b'):
        path = world.directory / ('%s.token' % site)
        path.write_text('%s-token\n' % world.sites[site]['array']['name'])
        path.chmod(0o600)
        files.append(path)
    group = world.group()
    absent = world.openstack(
        'site-a', *(create + (group,) + without_tokens(world, group)
                    + ('--primary-fa-token', '@/nowhere/token',
                       '--secondary-fa-token', '@%s' % files[1])))
    assert absent.code == 1 and '/nowhere/token' in absent.err, absent
    world.ok('site-a', *(create + (group,) + without_tokens(world, group)
                         + ('--primary-fa-token', '@%s' % files[0],
                            '--secondary-fa-token', '@%s' % files[1])))
    policy_is_active(world, group)
    group = world.group()
    world.ok(
        'site-a', *(create + (group,) + without_tokens(world, group)),
        env={'PROTECTOR_PRIMARY_FA_TOKEN': files[0].read_text(),
             'PROTECTOR_SECONDARY_FA_TOKEN': files[1].read_text()})
    policy_is_active(world, group)


def test_a11_tokens_are_given_by_standard_input(world):
    group = world.group()
    world.ok('site-a', 'protector', 'protection-group', 'policy-create',
             group, *world.policy_options(group), stdin=world.tokens())
    policy_is_active(world, group)
    group = world.group()
    missing = world.openstack(
        'site-a', 'protector', 'protection-group', 'policy-create', group,
        *without_tokens(world, group))
    assert missing.code == 1, missing
    for way in ('@FILE', 'standard input', 'terminal'):
        assert way in missing.err, missing


def test_a11_tokens_are_asked_for_and_not_shown(world):
    group = world.group()
    tokens = world.tokens().split()
    code, seen = world.typed(
        'site-a', ('protector', 'protection-group', 'policy-create', group)
        + without_tokens(world, group),
        [('API token of the primary FlashArray', tokens[0]),
         ('API token of the secondary FlashArray', tokens[1])])
    assert code == 0, seen
    assert tokens[0] not in seen and tokens[1] not in seen, seen
    policy_is_active(world, group)


def test_c5_interval_and_rpo_are_not_for_synchronous_groups(world):
    group = world.group()
    world.make_synchronous(group)
    before = world.show('site-a', 'protection-group', 'show', group)
    for given in (('--replication-interval', '300'), ('--rpo-minutes', '15'),
                  ('--replication-interval', '300', '--rpo-minutes', '15')):
        words = without_tokens(world, group)[:-4] + given
        # Not even a token is asked for.
        refused = world.openstack(
            'site-a', 'protector', 'protection-group', 'policy-create',
            group, *words)
        assert refused.code == 1, refused
        for option in given[::2]:
            assert option in refused.err, refused
        for part in (group, 'type sync', 'nothing was changed'):
            assert part in refused.err, refused
    after = world.show('site-a', 'protection-group', 'show', group)
    assert after == before
    assert after['has_policy'] is False


def test_c10_operations_fit_a_narrow_display(world):
    group = world.group('a-group-with-quite-a-long-name')
    world.policy(group)
    server = world.boot('c10-web')
    world.show('site-a', 'protection-group', 'member-add', group,
               '--instance-id', server)
    # No faster than somebody who watches.
    for site, path, millis in (('site-a', '/action$', 5000),
                               ('site-b', '/servers$', 9000)):
        world.control('POST', site + '/faults/rules', {
            'method': 'POST', 'path': path,
            'action': {'kind': 'delay', 'millis': millis}})
    made = world.show('site-a', 'protection-group', 'failover', group)
    narrow = {'COLUMNS': '80'}
    seen = []
    end = time.time() + 90
    while time.time() < end:
        began = time.time()
        shown = world.ok('site-a', 'protector', 'operation', 'show',
                         made['id'], env=narrow)
        # Well before `watch -n 5` wants it again.
        assert time.time() - began < 30, 'it took too long'
        fits(shown, 80)
        row = next(line for line in shown.out.splitlines()
                   if line.startswith('| progress '))
        seen.append(int(row.split('|')[2]))
        if seen[-1] == 100:
            break
    world.heal('site-a')
    world.heal('site-b')
    assert seen == sorted(seen) and len(set(seen)) > 1, seen
    # The whole of it is there, and what is copied from it is in one piece.
    whole = ''.join(shown.out.split())
    assert made['id'] in shown.out and 'c10-web' in whole, shown
    assert '"instances_created"' in ''.join(
        line.split('|')[2].strip() for line in shown.out.splitlines()
        if line.count('|') == 3), shown
    for words in ((), ('--protection-group', group)):
        listed = world.ok('site-a', 'protector', 'operation', 'list',
                          *words, env=narrow)
        fits(listed, 80)
        for heading in ('ID', 'PROTECTION_GROUP', 'TYPE', 'STATUS',
                        'PROGRESS', 'STARTED_AT'):
            assert ' %s ' % heading in listed.out.splitlines()[1], listed
        lines = [line.split('|')[1:-1]
                 for line in listed.out.splitlines()[3:-1]]
        cells = [''.join(cell.strip() for cell in column)
                 for column in zip(*lines)]
        assert made['id'] in cells[0], listed
        assert group in cells[1], listed
    # On a wide one nothing is broken.
    wide = world.ok('site-a', 'protector', 'operation', 'list',
                    '--protection-group', group)
    assert made['id'] in wide.out and group in wide.out, wide


def fits(ended, width):
    """A table whose borders stand, nowhere wider than the display."""
    lines = ended.out.splitlines()
    assert len({len(line) for line in lines}) == 1, ended
    assert len(lines[0]) <= width, ended
    assert all(line[0] == line[-1] and line[0] in '|+' for line in lines)


def test_c2_what_is_set_of_a_site_is_set_on_both(world):
    address = world.sites['site-b']['auth_url']

    def set_(*words):
        world.ok('site-a-admin', 'protector', 'site', 'set', *words)

    def both(field):
        return [world.show(cloud, 'site', 'show', 'site-b')[field]
                for cloud in ('site-a-admin', 'site-b-admin')]

    def status():
        return world.show('site-a-admin', 'site', 'validate',
                          'site-b')['status']

    for option, field, value in (
            ('--description', 'description', 'another one'),
            ('--site-type', 'site_type', 'primary'),
            ('--site-type', 'site_type', 'secondary')):
        set_('site-b', option, value)
        assert both(field) == [value, value]
    set_('site-b', '--name', 'site-renamed')
    for cloud in ('site-a-admin', 'site-b-admin'):
        names = [row['name'] for row in world.show(cloud, 'site', 'list')]
        assert sorted(names) == ['site-a', 'site-renamed'], names
    set_('site-renamed', '--name', 'site-b')
    assert status() == 'active'
    # An address where nobody is: it is told, and set right again.
    world.ok('site-a-admin', 'protector', 'site', 'set', 'site-b',
             '--auth-url', 'http://127.0.0.1:9/v3')
    assert status() == 'unreachable'
    set_('site-b', '--auth-url', address, '--region-name', 'RegionOne')
    assert both('auth_url') == [address, address]
    assert status() == 'active'
    secret = world.directory / 'service.secret'
    for password, found in (('wrong', 'error'),
                            ('site-b-protector', 'active')):
        secret.write_text(password + '\n')
        set_('site-b', '--service-username', 'protector',
             '--service-password-file', str(secret), '--service-project',
             'service', '--service-user-domain', 'Default',
             '--service-project-domain', 'Default')
        assert status() == found
    # The password stays where it was given.
    for cloud in ('site-a-admin', 'site-b-admin'):
        shown = world.ok(cloud, 'protector', 'site', 'show', 'site-b')
        assert 'site-b-protector' not in shown.out + shown.err, shown
