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
import sys

from osc_lib import exceptions as osc_exc

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

    def get_parser(self, prog_name):
        parser = super(Failover, self).get_parser(prog_name)
        parser.add_argument(
            'protection_group', metavar='<protection-group>',
            help='Name or id of the protection group')
        parser.add_argument(
            '--type', metavar='<planned|unplanned>', dest='failover_type',
            choices=('planned', 'unplanned'), default='planned',
            help='planned: both sites work (default); unplanned: the other '
                 'site is lost')
        for option, _key in MAPPINGS:
            parser.add_argument(
                '--%s-mapping' % option, metavar='SRC=DST', type=mapping,
                action='append', default=[],
                help='%s here and its counterpart there, names or ids '
                     '(repeat for several)' % (
                         option.replace('-', ' ').capitalize()))
        parser.add_argument(
            '--wait', action='store_true',
            help='Show the progress and wait for the end')
        parser.add_argument(
            '--yes', action='store_true', help="Don't ask")
        return parser

    def take_action(self, parsed_args):
        unplanned = parsed_args.failover_type == 'unplanned'
        group = self.client.find_group(parsed_args.protection_group)
        if unplanned and not parsed_args.yes:
            common.confirm(
                'Unplanned failover of %s: what was written after the last '
                'replication is lost.\nType the name of the group to go '
                'on: ' % group['name'], (group['name'],))
        pair = self.pair(group)
        options = {'type': parsed_args.failover_type}
        mappings = read_mappings(parsed_args)
        if mappings:
            options['mappings'] = mappings
        if unplanned:
            # Asked of the surviving site alone; the other may be dead.
            operation = self.client.action(
                group['id'], 'failover', options, {})
        else:
            operation = pair.start(
                group['id'], 'failover', options, group['name'])
        if not parsed_args.wait:
            self.tell(
                'Follow it with: watch -n 5 openstack protector operation '
                'show %s' % operation['id'])
            return operations.shown(operation)
        operation = self._follow(pair, operation, group['name'])
        return operations.shown(operation)

    def _follow(self, pair, operation, name):
        bar = Progress(getattr(self.app, 'stderr', None) or sys.stderr)
        try:
            operation = pair.follow(operation, name, bar.show)
        except KeyboardInterrupt:
            bar.end()
            self.tell(
                'Operation %s continues on the server. Follow it with: '
                'openstack protector operation show %s'
                % (operation['id'], operation['id']))
            raise SystemExit(130)
        finally:
            bar.end()
        outcome = operation.get('outcome')
        if operation['status'] != 'completed':
            raise osc_exc.CommandError(
                'Operation %s %s: %s' % (
                    operation['id'],
                    'was rolled back' if outcome == 'rolled_back'
                    else 'failed' + (
                        ' (%s)' % outcome if outcome else ''),
                    operation.get('error_message') or 'no reason given'))
        return operation


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
