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

"""Moving a group to its other site."""

import argparse
import contextlib
import sys

from osc_lib import exceptions as osc_exc

from protectorclient import exceptions
from protectorclient.osc import common
from protectorclient.osc.v1 import operation as operations

#: option and key of the request; the API takes names and ids alike
MAPPINGS = (
    ('network', 'networks'),
    ('flavor', 'flavors'),
    ('security-group', 'security_groups'),
    ('keypair', 'keypairs'),
    ('availability-zone', 'availability_zones'),
)

WIDTH = 30


def mapping(text):
    """``SRC=DST``, split at the last sign: names may hold one, too."""
    source, sign, target = text.rpartition('=')
    if not sign or not source or not target:
        raise argparse.ArgumentTypeError(
            "'%s' is not of the form SRC=DST" % text)
    return source, target


def add_failover_type(parser):
    parser.add_argument(
        '--type', metavar='<planned|unplanned>', dest='failover_type',
        choices=('planned', 'unplanned'), default='planned',
        help='planned: both sites work (default); unplanned: the other '
             'site is lost')


def add_mappings(parser):
    for option, _key in MAPPINGS:
        parser.add_argument(
            '--%s-mapping' % option, metavar='SRC=DST', type=mapping,
            action='append', default=[],
            help='%s here and its counterpart there, names or ids '
                 '(repeat for several)' % (
                     option.replace('-', ' ').capitalize()))


def read_mappings(parsed_args):
    """The mapping options of a command as the API wants them."""
    found = {}
    for option, key in MAPPINGS:
        pairs = getattr(parsed_args, option.replace('-', '_') + '_mapping')
        if pairs:
            found[key] = dict(pairs)
    return found


class Failover(common.ShowOne):
    """Move a protection group to its other site"""

    # Signing in is put off until it is known what is asked: where the dead
    # site was addressed, there is more to say than that it doesn't answer.
    auth_required = False

    #: the exit code of a failover that left members behind
    code = 0

    def run(self, parsed_args):
        if parsed_args.failover_type == 'unplanned':
            with _survivor():
                self._sign_in()
        else:
            self._sign_in()
        return super(Failover, self).run(parsed_args) or self.code

    def _sign_in(self):
        prepare = getattr(self.app, 'prepare_to_run_command', None)
        if prepare is not None:
            self.auth_required = True
            prepare(self)

    def get_parser(self, prog_name):
        parser = super(Failover, self).get_parser(prog_name)
        parser.add_argument(
            'protection_group', metavar='<protection-group>',
            help='Name or id of the protection group')
        add_failover_type(parser)
        add_mappings(parser)
        parser.add_argument(
            '--wait', action='store_true',
            help='Show the progress and wait for the end')
        parser.add_argument(
            '--yes', action='store_true', help="Don't ask")
        return parser

    def take_action(self, parsed_args):
        options = {'type': parsed_args.failover_type}
        mappings = read_mappings(parsed_args)
        if mappings:
            options['mappings'] = mappings
        if parsed_args.failover_type == 'unplanned':
            return self._take_over(parsed_args, options)
        group, pair = self.find(parsed_args.protection_group)
        operation = pair.start(
            group['id'], 'failover', options, group['name'])
        if parsed_args.wait:
            operation = self._see(
                operation,
                lambda seen: pair.follow(operation, group['name'], seen))
            self._check(operation)
        else:
            self._say_how_to_follow(operation)
        return operations.shown(operation)

    def _take_over(self, parsed_args, options):
        """Unplanned: all is asked of the site that was addressed."""
        with _survivor():
            group = self.client.find_group(parsed_args.protection_group)
        name = group['name']
        if not parsed_args.yes:
            common.confirm(
                'Unplanned failover of %s: what was written after the last '
                'replication is lost.\nType the name of the group to go '
                'on: ' % name, (name,))
        with _survivor():
            pair = self.pair(group)
            operation = pair.take_over(group['id'], options)
        if not parsed_args.wait:
            self._say_how_to_follow(operation)
            return operations.shown(operation)
        operation = self._see(
            operation, lambda seen: pair.watch(operation, seen))
        pair.offer_outcome(group['id'], name)
        if operation.get('outcome') == 'partial':
            # Most of the group may run by now: the operation is shown, but
            # a script must not take it for a success.
            self.code = 1
            self.tell(self._left_out(group, operation))
        else:
            self._check(operation)
        return operations.shown(operation)

    def _left_out(self, group, operation):
        """Which members are missing, and what to do about it."""
        try:
            rows = self.client.members(group['id'])
        except exceptions.ProtectorError:
            rows = []
        lines = ['  %s: %s' % (row.get('instance_name') or row.get('id'),
                               row.get('error_message') or 'no reason given')
                 for row in rows if row.get('status') == 'error']
        if not lines:
            lines = ['  %s' % (operation.get('error_message')
                               or 'no reason given')]
        return (
            'Operation %s brought protection group %s over in part only. '
            'Missing:\n%s\n'
            'When the cause is removed, repeat the same command: it tries '
            'these members again and leaves the others alone.' % (
                operation['id'], group['name'], '\n'.join(lines)))

    def _say_how_to_follow(self, operation):
        self.tell(
            'Follow it with: watch -n 5 openstack protector operation '
            'show %s' % operation['id'])

    def _see(self, operation, wait):
        """Show the progress for as long as ``wait`` takes."""
        bar = Progress(getattr(self.app, 'stderr', None) or sys.stderr)
        try:
            return wait(bar.show)
        except KeyboardInterrupt:
            bar.end()
            self.tell(
                'Operation %s continues on the server. Follow it with: '
                'openstack protector operation show %s'
                % (operation['id'], operation['id']))
            raise SystemExit(130)
        finally:
            bar.end()

    @staticmethod
    def _check(operation):
        outcome = operation.get('outcome')
        if operation['status'] != 'completed':
            raise osc_exc.CommandError(
                'Operation %s %s: %s' % (
                    operation['id'],
                    'was rolled back' if outcome == 'rolled_back'
                    else 'failed' + (
                        ' (%s)' % outcome if outcome else ''),
                    operation.get('error_message') or 'no reason given'))


@contextlib.contextmanager
def _survivor():
    """Say whom to ask when the site that was addressed is the dead one."""
    from keystoneauth1 import exceptions as ksa_exc

    try:
        yield
    except (exceptions.Unreachable, ksa_exc.ConnectionError,
            ksa_exc.DiscoveryFailure, ksa_exc.HttpServerError) as exc:
        raise osc_exc.CommandError(
            'The site that was addressed does not answer: %s\n'
            'An unplanned failover is asked of the site that survives: '
            'sign in there (--os-cloud with its entry of clouds.yaml) and '
            'run the same command.' % ' '.join(str(exc).split()))


class Progress(object):
    """A bar on a terminal, else one line for each new step."""

    def __init__(self, stream):
        self._stream = stream
        self._live = bool(getattr(stream, 'isatty', lambda: False)())
        self._last = None
        self._drawn = 0

    def show(self, operation):
        percent = max(0, min(100, int(operation.get('progress') or 0)))
        words = [operation.get('status') or '']
        if operation.get('current_step'):
            words.append(operation['current_step'])
        if operation.get('waiting_for'):
            words.append('(waits for the %s)' % operation['waiting_for'])
        text = ' '.join(words)
        if self._live:
            full = percent * WIDTH // 100
            line = '[%s%s] %3d%% %s' % (
                '#' * full, '.' * (WIDTH - full), percent, text)
            self._stream.write('\r' + line.ljust(self._drawn))
            self._drawn = len(line)
        elif text != self._last:
            self._last = text
            self._stream.write('%3d%% %s\n' % (percent, text))
        self._stream.flush()

    def end(self):
        if self._live and self._drawn:
            self._stream.write('\n')
            self._drawn = 0
