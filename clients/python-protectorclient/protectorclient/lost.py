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

"""Edits of a group that never crossed, after the other site took it over.

The site that lost the group keeps what such an edit changed. It is applied
again by ordinary modifications where the group runs now, so every rule for
these holds for it; this module only finds out which ones, and makes them.

No OpenStackClient import here: the dashboard uses the same functions.
"""

from protectorclient import exceptions

#: standings of a change in the group as it is now
THERE, MISSING, OVERWRITTEN = 'there', 'missing', 'overwritten'

#: how they read
STANDINGS = {
    THERE: 'in the group now',
    MISSING: 'not in the group',
    OVERWRITTEN: 'changed otherwise since',
}

MAPPED = {
    'networks': 'network', 'flavors': 'flavor', 'keypairs': 'keypair',
    'security_groups': 'security group',
    'availability_zones': 'availability zone',
}


def _value(value):
    return 'none' if value is None else "'%s'" % value


def _server(member):
    return '%s (server %s)' % (
        member.get('instance_name'), member.get('instance_id'))


def _policy(policy):
    if not policy:
        return 'none'
    arrays = ' and '.join(
        (policy.get(side) or {}).get('url') or '?'
        for side in ('primary', 'secondary'))
    return '%s on %s, every %s s, RPO %s min' % (
        policy.get('pure_pg_name'), arrays,
        policy.get('replication_interval_seconds'),
        policy.get('rpo_minutes'))


def _operation(change):
    intent = change.get('intent') or {}
    state = intent.get('state') or {}
    ended = state.get('state') == 'closed'
    return '%s %s %s' % (
        intent.get('kind'), intent.get('operation_id'),
        'ended (%s)' % state.get('outcome') if ended else 'was announced')


def words(change):
    """What a change was, in one line."""
    kind = change.get('change')
    if kind in ('name', 'description'):
        return '%s: %s -> %s' % (
            kind, _value(change.get('from')), _value(change.get('to')))
    if kind == 'mapping':
        return "mapping of %s '%s': %s -> %s" % (
            MAPPED.get(change.get('of'), change.get('of')),
            change.get('source'), _value(change.get('from')),
            _value(change.get('to')))
    if kind in ('member_added', 'member_removed'):
        return 'member %s: %s' % (
            kind.split('_')[1], _server(change.get('member') or {}))
    if kind == 'member_moved':
        return 'server of member: %s -> %s' % (
            _server(change.get('from') or {}), _server(change.get('to') or {}))
    if kind == 'policy':
        return 'replication policy: %s -> %s' % (
            _policy(change.get('from')), _policy(change.get('to')))
    if kind == 'operation':
        return _operation(change)
    if kind == 'primary':
        return 'runs at: %s -> %s' % tuple(
            (change.get(side) or {}).get('name') for side in ('from', 'to'))
    return '%s' % (change.get('field') or kind)


def describe(edit):
    """All that an edit changed, a line each, and how it stands now."""
    changes = edit.get('changes')
    if changes is None:
        return 'not known; all that was in version %s is kept' % edit['id']
    return '\n'.join('%s (%s)' % (
        words(change), STANDINGS.get(change.get('standing'), '?'))
        for change in changes) or 'nothing'


def instead(change, group, site):
    """What to do about a change that no call makes again; None if one does.

    ``site`` is the one that lost the group.
    """
    kind = change.get('change')
    if kind in ('name', 'description', 'mapping', 'member_removed'):
        return None
    if kind == 'member_added':
        return (
            'The server is at %(site)s, where the group does not run now, '
            'and it is stopped and locked there with the others. When the '
            'group runs at %(site)s again: have an administrator unlock it, '
            'take its volumes out of their volume group, then run: '
            'openstack protector protection-group member-add %(group)s '
            '--instance-id %(server)s' % {
                'site': site, 'group': group,
                'server': (change.get('member') or {}).get('instance_id')})
    if kind == 'policy':
        return (
            'Tokens of arrays are not kept with an edit. Compare with: '
            'openstack protector protection-group policy-show %s; where the '
            'policy has to be another one, give it with its tokens to: '
            'openstack protector protection-group policy-create %s'
            % (group, group))
    if kind in ('operation', 'member_moved', 'primary'):
        operation = (change.get('intent') or {}).get('operation_id')
        return (
            'An operation is never repeated by itself. What became of it '
            'is told at %s by: openstack protector operation %s' % (
                site, 'show %s' % operation if operation else
                'list --protection-group %s' % group))
    return 'Look at it with: openstack protector protection-group show %s' % (
        group)


class Kept(object):
    """One edit, and the site that keeps it."""

    def __init__(self, site, row, again):
        self.site = site
        self.edit = row['lost_edit']
        self.id = self.edit['id']
        self.epoch = row['epoch']
        self.version = row['version']
        #: the line that says that it was applied again
        self.again = again

    @property
    def changes(self):
        return self.edit.get('changes')


class LostEdits(object):
    """The lost edits of one group, on both of its sites."""

    def __init__(self, pair, group_id, name):
        self.pair = pair
        self.group_id = group_id
        self.name = name

    def bring_news(self):
        """A site loses an edit when it hears of the takeover, so tell it."""
        self.pair.check_peer(self.name)
        self.pair.turn(self.group_id)
        self.pair.heal(self.group_id, self.name)

    def kept(self):
        """All that are kept, oldest first."""
        found = []
        for site in (self.pair.primary, self.pair.peer):
            again = dict(
                ((row['epoch'], row['version']), row) for row in
                site.client.sync_log(self.group_id, event='reapplied'))
            for row in site.client.sync_log(self.group_id,
                                            event='superseded'):
                if row.get('lost_edit'):
                    stamp = row['epoch'], row['version']
                    found.append(Kept(site, row, again.get(stamp)))
        return sorted(found, key=lambda kept: (kept.epoch, kept.version))

    def choose(self, edit_id=None):
        """The edit of this id, or the only one that is open."""
        kept = self.kept()
        if not kept:
            raise exceptions.ProtectorError(
                'No edit of protection group %s is kept on either site: '
                'none was lost in a takeover.' % self.name)
        if edit_id is not None:
            found = [one for one in kept if one.id == edit_id]
            if found:
                return found[0]
            raise exceptions.ProtectorError(
                "No edit '%s' of protection group %s is kept. Kept are: %s."
                % (edit_id, self.name, ', '.join(one.id for one in kept)))
        still = [one for one in kept if one.again is None]
        if len(still) > 1:
            raise exceptions.ProtectorError(
                'Several edits of protection group %s were lost; choose one '
                'with --edit: %s.' % (
                    self.name, ', '.join(one.id for one in still)))
        return (still or kept)[-1]

    def apply(self, kept, overwrite=False):
        """Make what can be made again; a row for each change.

        A row is ``(change, result, remedy)``, with a remedy where the
        change is not in the group afterwards.
        """
        rows, batches = [], {}
        for number, change in enumerate(kept.changes):
            remedy = self._hindrance(kept, change, overwrite)
            there = change['standing'] == THERE
            result = ('there already' if there else
                      'not applied' if remedy else 'applied')
            rows.append((change, result, None if there else remedy))
            if result == 'applied':
                batches.setdefault(_call(number, change), []).append(number)
        for call, numbers in sorted(batches.items()):
            self._make(kept, call[0], numbers, overwrite)
        return rows

    def _hindrance(self, kept, change, overwrite):
        remedy = instead(change, self.name, kept.site.name)
        if (remedy is None and not overwrite
                and change['standing'] == OVERWRITTEN):
            return ('It was changed otherwise after the takeover. To put '
                    'what was lost in its place, run the command again with '
                    '--overwrite.')
        return remedy

    def _make(self, kept, call, numbers, overwrite):
        """One ordinary modification, of the changes with these numbers."""
        def change(client, headers):
            # The sites agree on a version by now, and only if the group
            # is still at that version is the modification taken.
            fresh = self._fresh(kept)
            changes = [fresh[number] for number in numbers]
            wanted = ((MISSING, OVERWRITTEN) if overwrite else (MISSING,))
            if any(one['standing'] not in wanted for one in changes):
                raise exceptions.ProtectorError(
                    'Protection group %s was changed by another client '
                    'meanwhile, and nothing was overwritten: run the '
                    'command again.' % self.name)
            return CALLS[call](client, self.group_id, changes, headers)

        self.pair.guarded(self.group_id, change, self.name)

    def _fresh(self, kept):
        """The changes as they stand now."""
        for row in kept.site.client.sync_log(self.group_id,
                                             event='superseded'):
            if (row['epoch'], row['version']) == (kept.epoch, kept.version):
                return row['lost_edit']['changes']
        raise exceptions.ProtectorError(
            'Site %s does not keep edit %s any more.' % (
                kept.site.name, kept.id))

    def note(self, kept):
        """Have it logged where the edit is kept, once all of it is there."""
        if all(change['standing'] == THERE for change in self._fresh(kept)):
            kept.site.client.sync_reapplied(
                self.group_id, kept.epoch, kept.version)
            return True
        return False


def _call(number, change):
    """Which call makes a change: one for all of a kind, or one each."""
    kind = change['change']
    if kind in ('name', 'description'):
        return 'attributes', 0
    if kind == 'mapping':
        return 'mappings', 0
    return kind, number


def _attributes(client, group_id, changes, headers):
    values = dict((one['change'], one['to']) for one in changes)
    return client.group_update(group_id, values, headers)


def _mappings(client, group_id, changes, headers):
    mappings = client.mappings(group_id)
    for one in changes:
        lines = mappings.setdefault(one['of'], {})
        if one['to'] is None:
            lines.pop(one['source'], None)
        else:
            lines[one['source']] = one['to']
    return client.mappings_update(group_id, mappings, headers)


def _removal(client, group_id, changes, headers):
    (one,) = changes
    return client.member_remove(group_id, one['member']['id'], headers)


CALLS = {'attributes': _attributes, 'mappings': _mappings,
         'member_removed': _removal}
