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

"""Operations: what was done and how it went."""

from protectorclient import exceptions
from protectorclient.osc import columns
from protectorclient.osc import common

FIELDS = ('id', 'protection_group_id', 'protection_group', 'operation_type',
          'status', 'outcome', 'waiting_for', 'progress', 'current_step',
          'source_site_id', 'target_site_id', 'created_at', 'started_at',
          'completed_at', 'error_message', 'steps_completed',
          'steps_failed', 'result_data')

FORMATS = {
    'steps_completed': columns.Ordered,
    'steps_failed': columns.Ordered,
    'result_data': lambda value: columns.Ordered(
        {} if value is None else value),
}


def shown(operation):
    """An operation as all commands show it."""
    return common.pick(operation, FIELDS, FORMATS)


class ListOperation(common.Lister):
    """List operations that ran on this site, newest first"""

    def get_parser(self, prog_name):
        parser = super(ListOperation, self).get_parser(prog_name)
        parser.add_argument(
            '--protection-group', metavar='<protection-group>',
            help='Only operations of this group (name or id)')
        parser.add_argument(
            '--status', metavar='<status>',
            help='Only operations in this status')
        parser.add_argument(
            '--type', metavar='<type>', dest='operation_type',
            help='Only operations of this type')
        parser.add_argument(
            '--limit', metavar='<number>', type=int,
            help='Greatest number of operations to show')
        return parser

    def take_action(self, parsed_args):
        group_id = None
        if parsed_args.protection_group:
            group_id = self.client.find_group(
                parsed_args.protection_group)['id']
        rows = self.client.operations(
            limit=parsed_args.limit, protection_group_id=group_id,
            status=parsed_args.status,
            operation_type=parsed_args.operation_type)
        return common.table(rows, (
            ('ID', 'id'),
            ('PROTECTION_GROUP', 'protection_group'),
            ('TYPE', 'operation_type'),
            ('STATUS', 'status'),
            ('PROGRESS', 'progress'),
            ('STARTED_AT', 'started_at'),
        ), {'started_at': columns.Time})


class ShowOperation(common.ShowOne):
    """Show an operation; the other site is asked if this one has none"""

    def get_parser(self, prog_name):
        parser = super(ShowOperation, self).get_parser(prog_name)
        parser.add_argument(
            'operation', metavar='<operation>', help='Id of the operation')
        return parser

    def take_action(self, parsed_args):
        try:
            operation = self.client.operation(parsed_args.operation)
        except exceptions.NotFound as exc:
            operation = self._elsewhere(parsed_args.operation)
            if operation is None:
                raise exc
        return shown(operation)

    def _elsewhere(self, operation_id):
        """Operations are recorded where they ran."""
        try:
            rows = self.client.sites()
            local = self.local_row(rows)
        except exceptions.ProtectorError:
            return None
        for row in rows:
            if row['id'] == local['id']:
                continue
            try:
                found = self.connect(row, local).operation(operation_id)
            except exceptions.ProtectorError:
                continue
            self.tell('The operation is recorded on site %s.' % row['name'])
            return found
        return None
