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

"""Protection groups: what is protected together."""

import time
import uuid

from osc_lib import exceptions as osc_exc

from protectorclient import exceptions
from protectorclient.osc import columns
from protectorclient.osc import common

#: the fields of both documented examples
FIELDS = ('id', 'name', 'description', 'status', 'replication_type',
          'primary_site', 'secondary_site', 'current_primary_site',
          'consistency_group_id', 'failover_count', 'created_at')

DETAILS = FIELDS[:4] + ('status_reason',) + FIELDS[4:8] + (
    'primary_site_id', 'secondary_site_id', 'current_primary_site_id',
    'volume_type', 'consistency_group_id', 'failover_count',
    'member_count', 'has_policy', 'epoch', 'version', 'sync_status',
    'facts_read_at', 'facts_complete', 'fencing', 'created_at', 'updated_at',
    'project_id')


class CreateProtectionGroup(common.ShowOne):
    """Create a protection group on both sites"""

    def get_parser(self, prog_name):
        parser = super(CreateProtectionGroup, self).get_parser(prog_name)
        parser.add_argument(
            '--name', metavar='<name>', required=True,
            help='Name of the group, unique in the project')
        parser.add_argument(
            '--description', metavar='<description>',
            help='What the group is for')
        parser.add_argument(
            '--replication-type', metavar='<async|sync>', required=True,
            choices=('async', 'sync'),
            help='async: replicated snapshots; sync: no data loss')
        parser.add_argument(
            '--primary-site', metavar='<site>', required=True,
            help='Site where the servers run (name or id)')
        parser.add_argument(
            '--secondary-site', metavar='<site>', required=True,
            help='Site that takes over (name or id)')
        parser.add_argument(
            '--volume-type', metavar='<volume-type>', required=True,
            help='Volume type of all volumes (name or id)')
        parser.add_argument(
            '--wait', action='store_true',
            help='Wait until the group is active')
        return parser

    def take_action(self, parsed_args):
        primary = self.client.find_site(parsed_args.primary_site)
        secondary = self.client.find_site(parsed_args.secondary_site)
        if primary['id'] == secondary['id']:
            raise osc_exc.CommandError(
                'Primary and secondary site must be different.')
        pair = self.pair(primary=primary['id'], secondary=secondary['id'])
        group_id = str(uuid.uuid4())
        row = {
            'id': group_id,
            'name': parsed_args.name,
            'replication_type': parsed_args.replication_type,
            'primary_site_id': primary['id'],
            'secondary_site_id': secondary['id'],
            'volume_type': parsed_args.volume_type,
        }
        if parsed_args.description is not None:
            row['description'] = parsed_args.description
        if pair.primary.id != primary['id']:
            pair.check_peer(parsed_args.name, creating=True)
            pair.swap(primary['name'])
        group = pair.guarded(
            group_id,
            lambda client, headers: client.group_create(row, headers),
            parsed_args.name, creating=True)
        if parsed_args.wait:
            group = wait_for(
                lambda: pair.primary.client.group(group_id),
                lambda found: found['status'] != 'creating')
            if group['status'] == 'error':
                raise osc_exc.CommandError(
                    'Protection group %s (%s) could not be created: %s' % (
                        group['name'], group_id, group.get('status_reason')
                        or 'no reason given'))
        return common.pick(group, FIELDS)


class ListProtectionGroup(common.Lister):
    """List protection groups"""

    def get_parser(self, prog_name):
        parser = super(ListProtectionGroup, self).get_parser(prog_name)
        parser.add_argument(
            '--name', metavar='<name>', help='Only the group of this name')
        parser.add_argument(
            '--status', metavar='<status>',
            help='Only groups in this status')
        parser.add_argument(
            '--limit', metavar='<number>', type=int,
            help='Greatest number of groups to show')
        parser.add_argument(
            '--long', action='store_true', help='List additional fields')
        return parser

    def take_action(self, parsed_args):
        names = ['id', 'name', 'status', 'replication_type', 'primary_site',
                 'secondary_site', 'current_primary_site']
        if parsed_args.long:
            names += ['member_count', 'has_policy', 'sync_status',
                      'version', 'failover_count', 'created_at',
                      'description']
        rows = self.client.groups(
            name=parsed_args.name, status=parsed_args.status,
            limit=parsed_args.limit)
        return common.table(rows, [(name, name) for name in names])


class ShowProtectionGroup(common.ShowOne):
    """Show a protection group"""

    def get_parser(self, prog_name):
        parser = super(ShowProtectionGroup, self).get_parser(prog_name)
        _add_group(parser)
        return parser

    def take_action(self, parsed_args):
        found = self.client.find_group(parsed_args.protection_group)
        # A list, in which a name is looked up, has not all of it.
        group = self.client.group(found['id'])
        if group.get('sync_status') in ('pending', 'failed'):
            group = self._healed(group)
        return common.pick(group, DETAILS, {'fencing': columns.Fencing})

    def _healed(self, group):
        """Finish what an earlier client left, if that is possible."""
        try:
            if self.pair(group).finish_pending(group['id'], group['name']):
                return self.client.group(group['id'])
        except exceptions.ProtectorError:
            pass
        return group


class SetProtectionGroup(common.Command):
    """Change name or description of a protection group"""

    def get_parser(self, prog_name):
        parser = super(SetProtectionGroup, self).get_parser(prog_name)
        _add_group(parser)
        parser.add_argument('--name', metavar='<name>', help='New name')
        parser.add_argument(
            '--description', metavar='<description>',
            help='New description')
        return parser

    def take_action(self, parsed_args):
        changes = {
            key: getattr(parsed_args, key) for key in ('name', 'description')
            if getattr(parsed_args, key) is not None}
        if not changes:
            raise osc_exc.CommandError(
                'Nothing to change: give --name or --description.')
        group, pair = self.find(parsed_args.protection_group)
        pair.guarded(
            group['id'],
            lambda client, headers: client.group_update(
                group['id'], changes, headers),
            group['name'])


class DeleteProtectionGroup(common.Command):
    """Delete protection groups on both sites; servers are left alone"""

    def get_parser(self, prog_name):
        parser = super(DeleteProtectionGroup, self).get_parser(prog_name)
        parser.add_argument(
            'protection_group', metavar='<protection-group>', nargs='+',
            help='Name or id')
        return parser

    def take_action(self, parsed_args):
        refs = parsed_args.protection_group
        if len(refs) == 1:
            self._delete(refs[0])
            return
        failed = 0
        for ref in refs:
            try:
                self._delete(ref)
            except exceptions.ProtectorError as exc:
                failed += 1
                self.tell('%s: %s' % (ref, exc))
        if failed:
            raise osc_exc.CommandError(
                '%d of %d protection groups were not deleted.' % (
                    failed, len(refs)))

    def _delete(self, ref):
        group, pair = self.find(ref)
        pair.delete(group['id'], group['name'])


def _add_group(parser):
    parser.add_argument(
        'protection_group', metavar='<protection-group>',
        help='Name or id of the protection group')


def wait_for(read, done, interval=2.0, timeout=3600.0, sleep=time.sleep,
             clock=time.time):
    """Read until ``done``; short silences of the API are waited out."""
    begun = clock()
    while True:
        try:
            found = read()
        except exceptions.Unreachable:
            if clock() - begun > timeout:
                raise
            found = None
        if found is not None and done(found):
            return found
        if clock() - begun > timeout:
            raise exceptions.ProtectorError(
                'Not done after %d minutes; the site goes on with it.'
                % (timeout // 60))
        sleep(interval)
