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

"""Metadata of a group: whether both sites hold the same."""

import datetime

from osc_lib import exceptions as osc_exc

from protectorclient import exceptions
from protectorclient import lost
from protectorclient.osc import columns
from protectorclient.osc import common
from protectorclient.osc import formatters


def _add_group(parser):
    parser.add_argument(
        'protection_group', metavar='<protection-group>',
        help='Name or id of the protection group')


class _Report(common.ShowOne):
    """A report where a person reads, fields for machines."""

    @property
    def formatter_namespace(self):
        return 'protector.formatter.show'

    @property
    def formatter_default(self):
        return 'report'


class SyncStatus(_Report):
    """Show whether both sites hold the same metadata of a group"""

    def get_parser(self, prog_name):
        parser = super(SyncStatus, self).get_parser(prog_name)
        _add_group(parser)
        return parser

    def take_action(self, parsed_args):
        group, pair = self.find(parsed_args.protection_group)
        local, remote, reason = pair.status(group['id'])
        facts = judge(local, remote, reason, pair.peer.name)
        parsed_args.report = report(
            facts, parsed_args.protection_group)
        names = ('sync_status', 'local_version', 'current_site',
                 'last_modified', 'remote_site', 'remote_status',
                 'remote_version', 'last_sync', 'versions_match',
                 'reason')
        return common.pick(facts, names)


class SyncForce(_Report):
    """Carry the metadata of a group to the other site now"""

    def get_parser(self, prog_name):
        parser = super(SyncForce, self).get_parser(prog_name)
        _add_group(parser)
        return parser

    def take_action(self, parsed_args):
        group, pair = self.find(parsed_args.protection_group)
        live = parsed_args.formatter == 'report'
        voice = _Voice(self.app.stdout if live else None)
        try:
            result = pair.force(group['id'], group['name'], voice)
        except exceptions.ProtectorError as exc:
            voice.end_line()
            raise osc_exc.CommandError('Sync failed: %s' % exc)
        parsed_args.report = ''
        return common.pick(
            result, ('site', 'status', 'version', 'duration_ms'))


class SyncLog(common.Lister):
    """Show what became of each change's way to the other site

    Newest first. A change that had not reached the other site when that one
    took the group over is `superseded`; the column lost_edit says what it
    changed, and `protection-group sync-reapply` applies it again.
    """

    def get_parser(self, prog_name):
        parser = super(SyncLog, self).get_parser(prog_name)
        _add_group(parser)
        parser.add_argument(
            '--limit', metavar='<number>', type=int,
            help='Greatest number of lines to show')
        return parser

    def take_action(self, parsed_args):
        group = self.client.find_group(parsed_args.protection_group)
        rows = self.client.sync_log(group['id'], parsed_args.limit)
        names = ('at', 'event', 'epoch', 'version', 'message', 'lost_edit')
        self._hint(parsed_args.protection_group, rows)
        return common.table(rows, [(name, name) for name in names],
                            {'lost_edit': columns.LostEdit})

    def _hint(self, group, rows):
        """Name the command for what was not applied again yet."""
        again = [(row['epoch'], row['version']) for row in rows
                 if row['event'] == 'reapplied']
        for row in rows:
            edit = row.get('lost_edit') or {}
            if ((row['epoch'], row['version']) not in again and
                    any(change['standing'] != lost.THERE
                        for change in edit.get('changes') or ())):
                self.tell(
                    'Edit %s was lost in a takeover. To apply it again:\n'
                    'openstack protector protection-group sync-reapply %s '
                    '--edit %s' % (edit['id'], group, edit['id']))


def parse_time(text):
    """An RFC 3339 time in UTC; None if it is none."""
    if not text:
        return None
    try:
        return datetime.datetime.strptime(
            str(text).split('.')[0].rstrip('Z'), '%Y-%m-%dT%H:%M:%S')
    except ValueError:
        return None


def ago(text, now=None):
    """How long ago a time was, in words; empty if that isn't known."""
    then = parse_time(text)
    if then is None:
        return ''
    now = now or datetime.datetime.now(
        datetime.timezone.utc).replace(tzinfo=None)
    seconds = max(0, int((now - then).total_seconds()))
    for size, unit in ((86400, 'day'), (3600, 'hour'), (60, 'minute'),
                       (1, 'second')):
        if seconds >= size or size == 1:
            count = seconds // size
            return '%d %s%s ago' % (count, unit, '' if count == 1 else 's')


def judge(local, remote, reason, remote_site):
    """What the two sites' words amount to."""
    version = local.get('version')
    facts = {
        'local_version': version,
        'current_site': local.get('current_primary_site'),
        'last_modified': local.get('modified_at'),
        'remote_site': remote_site,
        'last_sync': local.get('last_sync_at') or (
            remote or {}).get('last_sync_at'),
        'reason': None,
        'local_epoch': local.get('epoch'),
        'remote_epoch': None,
    }
    missing = isinstance(reason, exceptions.NotFound)
    if remote is None and not missing:
        facts.update(
            sync_status='UNREACHABLE', remote_status='UNREACHABLE',
            remote_version=local.get('peer_version'), versions_match=None,
            reason=str(reason))
        return facts
    remote = remote or {}
    facts['remote_version'] = remote.get('version')
    facts['remote_epoch'] = remote.get('epoch')
    match = not missing and (
        (local.get('epoch'), version)
        == (remote.get('epoch'), remote.get('version')))
    if match and local.get('checksum') and remote.get('checksum'):
        match = local['checksum'] == remote['checksum']
    facts['versions_match'] = match
    states = (local.get('status'), remote.get('status'))
    status = 'failed' if 'failed' in states else (
        'pending' if 'pending' in states else 'synced')
    if not match and status == 'synced':
        status = 'failed'
    facts['remote_status'] = status.upper()
    facts['sync_status'] = (
        'IN SYNC' if match and status == 'synced' else 'OUT OF SYNC')
    if missing:
        facts['reason'] = 'site %s does not hold this group' % remote_site
    return facts


def report(facts, group, now=None):
    """The documented layout; its other two forms follow it."""
    good, bad = formatters.CHECK, formatters.CROSS
    state = facts['sync_status']
    mark = {'IN SYNC': good, 'UNREACHABLE': formatters.WARNING}.get(
        state, bad)
    last = facts['last_sync'] or 'never'
    age = ago(facts['last_sync'], now)
    unreachable = state == 'UNREACHABLE'
    lines = [
        'Sync Status: %s %s' % (mark, state),
        '',
        'Local Metadata:',
        '  Version: %s' % facts['local_version'],
        '  Current Site: %s' % facts['current_site'],
        '  Last Modified: %s' % facts['last_modified'],
        '',
        'Remote Sync:',
        '  Status: %s' % facts['remote_status'],
        '  Remote Version: %s' % _remote_version(facts),
        '  Last Sync: %s%s' % (last, ' (%s)' % age if age else ''),
        '',
        'Validation:',
    ]
    if unreachable:
        lines.append('  %s %s is not reachable: %s' % (
            bad, facts['remote_site'], facts['reason']))
    elif facts['versions_match']:
        lines.append('  %s Versions match (%s = %s)' % (
            good, facts['local_version'], facts['remote_version']))
    elif facts['reason']:
        lines.append('  %s %s' % (bad, _capital(facts['reason'])))
    elif (facts['local_epoch'], facts['local_version']) == (
            facts['remote_epoch'], facts['remote_version']):
        lines.append('  %s Versions are equal (%s), but their contents '
                     'differ' % (bad, facts['local_version']))
    else:
        lines.append('  %s Versions differ (%s != %s)' % (
            bad, facts['local_version'], facts['remote_version']))
    lines.append("  %s Sync status is '%s'" % (
        good if facts['remote_status'] == 'SYNCED' else bad,
        facts['remote_status'].lower()))
    if state == 'IN SYNC':
        lines.append('  %s Last sync is recent' % good)
        lines += ['', 'Both sites have identical metadata.']
    else:
        lines += [
            '',
            'Action: %sun:' % ('Wait for the remote site to recover, then r'
                               if unreachable else 'R'),
            'openstack protector protection-group sync-force %s' % group]
    return '\n'.join(lines)


def _remote_version(facts):
    if facts['sync_status'] == 'UNREACHABLE':
        known = facts['remote_version']
        return 'unknown' if known is None else '%s (last known)' % known
    return 'none' if facts['remote_version'] is None else facts[
        'remote_version']


def _capital(text):
    return text[:1].upper() + text[1:]


class _Voice(object):
    """Says each step of a forced sync as it happens."""

    def __init__(self, stdout):
        self._stdout = stdout
        self._open = False

    def _write(self, text):
        if self._stdout is not None:
            self._stdout.write(formatters.printable(
                text, formatters._stream(self._stdout)))
            self._stdout.flush()

    def end_line(self):
        if self._open:
            self._open = False
            self._write(' %s\n' % formatters.CROSS)

    def __call__(self, event, **facts):
        good, bad = formatters.CHECK, formatters.CROSS
        if event == 'start':
            self._write('Force Sync Initiated...\n\n'
                        'Checking remote site connectivity...\n')
        elif event == 'unreachable':
            self._write('  %s %s is not reachable\n' % (bad, facts['site']))
        elif event == 'reachable':
            self._write('  %s %s is reachable\n\n' % (good, facts['site']))
        elif event == 'syncing':
            self._write('Syncing metadata (version %s)...\n'
                        '  Gathering current metadata...'
                        % facts['version'])
            self._open = True
        elif event == 'gathered':
            self._write(' %s\n  Calculating checksum...' % formatters.TICK)
        elif event == 'checksum':
            self._write(' %s\n' % formatters.TICK)
            self._open = False
        elif event == 'pushing':
            self._write('  Pushing to %s...' % facts['site'])
            self._open = True
        elif event == 'pushed':
            self._write(' %s\n\n' % formatters.TICK)
            self._open = False
        elif event == 'failed':
            self.end_line()
        elif event == 'done':
            self._write(
                'Remote Site Response:\n'
                '  Status: success\n'
                '  Version: %s\n'
                '  Duration: %sms\n\n'
                '%s Sync completed successfully\n'
                'Both sites now at version %s\n' % (
                    facts['version'], facts['duration'], good,
                    facts['version']))
