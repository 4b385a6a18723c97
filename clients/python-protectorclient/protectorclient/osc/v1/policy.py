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

# Shown where a side's token is in Barbican.
SECRETS = ('primary_fa_token_secret', 'secondary_fa_token_secret')

PRIMARY_ENV = 'PROTECTOR_PRIMARY_FA_TOKEN'
SECONDARY_ENV = 'PROTECTOR_SECONDARY_FA_TOKEN'


class CreatePolicy(common.ShowOne):
    """Attach a replication policy to a protection group

    An array's API token is stored sealed in the databases of both sites; or
    it stays in the Barbican of the array's own site, and the policy only
    says in which secret:

      openstack --os-cloud site-a secret store --name fa-a --payload TOKEN

    The same policy with another secret replaces the secret.
    """

    def get_parser(self, prog_name):
        parser = super(CreatePolicy, self).get_parser(prog_name)
        _add_group(parser)
        parser.add_argument(
            '--primary-fa-url', metavar='<url>', required=True,
            help="Management URL of the primary site's FlashArray")
        primary = parser.add_mutually_exclusive_group()
        primary.add_argument(
            '--primary-fa-token', metavar='<token>',
            help="API token of the primary site's FlashArray: @FILE, - "
                 '(standard input), environment %s, or asked for at a '
                 'terminal; the token itself is accepted, too, but other '
                 'users of this host can then see it' % PRIMARY_ENV)
        primary.add_argument(
            '--primary-fa-token-secret', metavar='<secret>',
            help="Instead of the token: the secret in the primary site's own "
                 'Barbican that holds it, by id or address. It is read as '
                 'the user who created the group on that site. By '
                 "Barbican's own policy that takes role creator there, also "
                 'among default_trust_roles of protector, or an entry for '
                 "that user in the secret's access list (openstack acl user "
                 'add --user <user> <secret>)')
        parser.add_argument(
            '--secondary-fa-url', metavar='<url>', required=True,
            help="Management URL of the secondary site's FlashArray")
        secondary = parser.add_mutually_exclusive_group()
        secondary.add_argument(
            '--secondary-fa-token', metavar='<token>',
            help='The same for the secondary site; environment %s, second '
                 'line of standard input' % SECONDARY_ENV)
        secondary.add_argument(
            '--secondary-fa-token-secret', metavar='<secret>',
            help="The same as a secret in the secondary site's own Barbican")
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
        for side, environ in (('primary', PRIMARY_ENV),
                              ('secondary', SECONDARY_ENV)):
            token = side + '_fa_token'
            secret = getattr(parsed_args, token + '_secret')
            if secret:
                policy[token + '_secret'] = secret
            else:
                policy[token] = common.read_secret(
                    getattr(parsed_args, token) or utils.env(environ),
                    'API token of the %s FlashArray' % side)
        made = pair.guarded(
            group['id'],
            lambda client, headers: client.policy_create(
                group['id'], policy, headers),
            group['name'])
        return _shown(made)


class ShowPolicy(common.ShowOne):
    """Show the replication policy of a protection group"""

    def get_parser(self, prog_name):
        parser = super(ShowPolicy, self).get_parser(prog_name)
        _add_group(parser)
        return parser

    def take_action(self, parsed_args):
        group = self.client.find_group(parsed_args.protection_group)
        return _shown(self.client.policy(group['id']))


def _shown(policy):
    return common.pick(
        policy, FIELDS + tuple(name for name in SECRETS if policy.get(name)))


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
