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


class _Watched(object):
    """Shown by `watch`, too, whose display may be narrow."""

    def produce_output(self, parsed_args, column_names, data):
        if parsed_args.formatter == 'table':
            from protectorclient.osc import fitting
            self.formatter = fitting.FittingTable()
        return super(_Watched, self).produce_output(
            parsed_args, column_names, data)


class ListOperation(_Watched, common.Lister):
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


class _Recorded(object):
    """Operations are recorded where they run."""

    def on_its_site(self, operation_id, ask):
        """What ``ask`` answers on the site that has the operation."""
        try:
            return ask(self.client)
        except exceptions.NotFound as exc:
            missing = exc
        try:
            rows = self.client.sites()
            local = self.local_row(rows)
        except exceptions.ProtectorError:
            raise missing
        for row in rows:
            if row['id'] == local['id']:
                continue
            try:
                client = self.connect(row, local)
                client.operation(operation_id)
            except exceptions.ProtectorError:
                continue
            self.tell('The operation is recorded on site %s.' % row['name'])
            return ask(client)
        raise missing


class ShowOperation(_Recorded, _Watched, common.ShowOne):
    """Show an operation; the other site is asked if this one has none"""

    def get_parser(self, prog_name):
        parser = super(ShowOperation, self).get_parser(prog_name)
        _add_operation(parser)
        return parser

    def take_action(self, parsed_args):
        wanted = parsed_args.operation
        return shown(self.on_its_site(
            wanted, lambda client: client.operation(wanted)))


class CancelOperation(_Recorded, common.ShowOne):
    """Take an operation back, as long as that is possible"""

    def get_parser(self, prog_name):
        parser = super(CancelOperation, self).get_parser(prog_name)
        _add_operation(parser)
        return parser

    def take_action(self, parsed_args):
        wanted = parsed_args.operation
        return shown(self.on_its_site(
            wanted,
            lambda client: client.operation_action(wanted, 'cancel')))


class RetryOperation(_Recorded, common.ShowOne):
    """Try again what an operation gave up, where it waits for you"""

    def get_parser(self, prog_name):
        parser = super(RetryOperation, self).get_parser(prog_name)
        _add_operation(parser)
        return parser

    def take_action(self, parsed_args):
        wanted = parsed_args.operation
        return shown(self.on_its_site(
            wanted, lambda client: client.operation_action(wanted, 'retry')))


class ResolveOperation(_Recorded, common.ShowOne):
    """Decide how an operation goes on that waits for you"""

    def get_parser(self, prog_name):
        parser = super(ResolveOperation, self).get_parser(prog_name)
        _add_operation(parser)
        parser.add_argument(
            '--decision', metavar='<accept|roll-back|abandon>',
            required=True, choices=('accept', 'roll-back', 'abandon'),
            help='accept: go on without what was given up; roll-back: the '
                 'point of no return was not passed, take everything back; '
                 'abandon: leave everything as it is')
        parser.add_argument(
            '--note', metavar='<text>',
            help='Why; it is kept with the operation (needed to abandon)')
        return parser

    def take_action(self, parsed_args):
        wanted = parsed_args.operation
        options = {'decision': parsed_args.decision.replace('-', '_')}
        if parsed_args.note is not None:
            options['note'] = parsed_args.note
        return shown(self.on_its_site(
            wanted, lambda client: client.operation_action(
                wanted, 'resolve', options)))


def _add_operation(parser):
    parser.add_argument(
        'operation', metavar='<operation>', help='Id of the operation')
