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

"""Members: the servers of a protection group."""


from protectorclient.osc import columns
from protectorclient.osc import common
from protectorclient.osc.v1 import protection_group

ADDED = ('id', 'instance_id', 'instance_name', 'status', 'volumes_added')

FIELDS = ('id', 'instance_id', 'instance_name', 'status', 'error_message',
          'volume_count', 'volumes', 'created_at')


class AddMember(common.ShowOne):
    """Protect a server with all its volumes"""

    def get_parser(self, prog_name):
        parser = super(AddMember, self).get_parser(prog_name)
        _add_group(parser)
        parser.add_argument(
            '--instance-id', metavar='<server>', required=True,
            help='Id of the server (a name is looked up)')
        parser.add_argument(
            '--no-wait', dest='wait', action='store_false', default=True,
            help="Don't wait until the server is protected")
        return parser

    def take_action(self, parsed_args):
        group, pair = self.find(parsed_args.protection_group)

        def change(client, headers):
            return client.member_add(
                group['id'], server_id(client, parsed_args.instance_id),
                headers)

        member = pair.guarded(group['id'], change, group['name'])
        if parsed_args.wait:
            client = pair.primary.client
            member = protection_group.wait_for(
                lambda: client.member(group['id'], member['id']),
                lambda found: found['status'] != 'protecting')
            if member['status'] == 'error':
                self.tell('Server %s is not protected: %s' % (
                    member.get('instance_name') or member['instance_id'],
                    member.get('error_message') or 'no reason given'))
        return common.pick(member, ADDED)


class ListMember(common.Lister):
    """List the members of a protection group"""

    def get_parser(self, prog_name):
        parser = super(ListMember, self).get_parser(prog_name)
        _add_group(parser)
        return parser

    def take_action(self, parsed_args):
        group = self.client.find_group(parsed_args.protection_group)
        return common.table(self.client.members(group['id']), (
            ('ID', 'id'),
            ('Instance Name', 'instance_name'),
            ('Instance ID', 'instance_id'),
            ('Status', 'status'),
            ('Volumes', 'volume_count'),
        ))


class ShowMember(common.ShowOne):
    """Show a member of a protection group"""

    def get_parser(self, prog_name):
        parser = super(ShowMember, self).get_parser(prog_name)
        _add_group(parser)
        parser.add_argument(
            'member', metavar='<member>',
            help='Id of the member, or id or name of its server')
        return parser

    def take_action(self, parsed_args):
        group = self.client.find_group(parsed_args.protection_group)
        found = self.client.find_member(group['id'], parsed_args.member)
        member = self.client.member(group['id'], found['id'])
        return common.pick(member, FIELDS, {'volumes': columns.Ordered})


class RemoveMember(common.Command):
    """Take a server out of a protection group; the server is left alone"""

    def get_parser(self, prog_name):
        parser = super(RemoveMember, self).get_parser(prog_name)
        _add_group(parser)
        parser.add_argument(
            '--member-id', metavar='<member>', required=True,
            help='Id of the member, or id or name of its server')
        return parser

    def take_action(self, parsed_args):
        group, pair = self.find(parsed_args.protection_group)
        member = self.client.find_member(
            group['id'], parsed_args.member_id)
        pair.guarded(
            group['id'],
            lambda client, headers: client.member_remove(
                group['id'], member['id'], headers),
            group['name'])


def _add_group(parser):
    parser.add_argument(
        'protection_group', metavar='<protection-group>',
        help='Name or id of the protection group')


def server_id(client, ref):
    """The id of a server on the site where the group runs.

    The API takes ids alone; a name is looked up in that site's Nova.
    """
    from protectorclient.v1 import client as api

    if api.is_uuid(ref):
        return ref
    from protectorclient.v1 import lookup

    return lookup.find_server(client, ref)
