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

"""Replication policies: which arrays, how often."""

from osc_lib import exceptions as osc_exc
from osc_lib import utils

from protectorclient.osc import common

FIELDS = ('id', 'protection_group_id', 'primary_fa_url', 'secondary_fa_url',
          'pure_pg_name', 'replication_interval', 'rpo_minutes', 'status',
          'error_message')

PRIMARY_ENV = 'PROTECTOR_PRIMARY_FA_TOKEN'
SECONDARY_ENV = 'PROTECTOR_SECONDARY_FA_TOKEN'


class CreatePolicy(common.ShowOne):
    """Attach a replication policy to a protection group"""

    def get_parser(self, prog_name):
        parser = super(CreatePolicy, self).get_parser(prog_name)
        _add_group(parser)
        parser.add_argument(
            '--primary-fa-url', metavar='<url>', required=True,
            help="Management URL of the primary site's FlashArray")
        parser.add_argument(
            '--primary-fa-token', metavar='<token>',
            help="API token of the primary site's FlashArray: @FILE, - "
                 '(standard input), environment %s, or asked for at a '
                 'terminal; the token itself is accepted, too, but other '
                 'users of this host can then see it' % PRIMARY_ENV)
        parser.add_argument(
            '--secondary-fa-url', metavar='<url>', required=True,
            help="Management URL of the secondary site's FlashArray")
        parser.add_argument(
            '--secondary-fa-token', metavar='<token>',
            help='The same for the secondary site; environment %s, second '
                 'line of standard input' % SECONDARY_ENV)
        parser.add_argument(
            '--pure-pg-name', metavar='<name>', required=True,
            help="The array's protection group or pod")
        parser.add_argument(
            '--replication-interval', metavar='<seconds>', type=int,
            help='Seconds between two replications (async only)')
        parser.add_argument(
            '--rpo-minutes', metavar='<minutes>', type=int,
            help='Data loss that is accepted at most (async only)')
        return parser

    def take_action(self, parsed_args):
        group, pair = self.find(parsed_args.protection_group)
        policy = {
            'primary_fa_url': parsed_args.primary_fa_url,
            'secondary_fa_url': parsed_args.secondary_fa_url,
            'pure_pg_name': parsed_args.pure_pg_name,
        }
        for key in ('replication_interval', 'rpo_minutes'):
            value = getattr(parsed_args, key)
            if value is not None:
                policy[key] = value
        _check_kind(group, policy)
        policy['primary_fa_token'] = common.read_secret(
            parsed_args.primary_fa_token or utils.env(PRIMARY_ENV),
            'API token of the primary FlashArray')
        policy['secondary_fa_token'] = common.read_secret(
            parsed_args.secondary_fa_token or utils.env(SECONDARY_ENV),
            'API token of the secondary FlashArray')
        made = pair.guarded(
            group['id'],
            lambda client, headers: client.policy_create(
                group['id'], policy, headers),
            group['name'])
        return common.pick(made, FIELDS)


class ShowPolicy(common.ShowOne):
    """Show the replication policy of a protection group"""

    def get_parser(self, prog_name):
        parser = super(ShowPolicy, self).get_parser(prog_name)
        _add_group(parser)
        return parser

    def take_action(self, parsed_args):
        group = self.client.find_group(parsed_args.protection_group)
        return common.pick(self.client.policy(group['id']), FIELDS)


def _check_kind(group, policy):
    """Before anybody is asked for a token, and before any site is."""
    given = ['--' + key.replace('_', '-')
             for key in ('replication_interval', 'rpo_minutes')
             if key in policy]
    if given and group.get('replication_type') == 'sync':
        raise osc_exc.CommandError(
            '%s: for asynchronous replication only, and protection group '
            '%s is of replication type sync. Leave it out; nothing was '
            'changed.' % (' and '.join(given), group['name']))


def _add_group(parser):
    parser.add_argument(
        'protection_group', metavar='<protection-group>',
        help='Name or id of the protection group')
