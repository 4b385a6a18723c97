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

"""Tenant mappings: which projects of two Keystones belong together."""

import uuid

from osc_lib import exceptions as osc_exc

from protectorclient import exceptions
from protectorclient.osc import common

FIELDS = ('id', 'local_tenant', 'remote_site', 'remote_tenant',
          'description', 'created_at')


class _Other(object):
    def other(self, ref):
        """This site's row, the other site's row."""
        rows = self.client.sites()
        local = self.local_row(rows)
        for row in rows:
            if ref in (row['id'], row['name']):
                return local, row
        raise exceptions.NoSuch(
            "No site with a name or ID of '%s' exists." % ref)


class CreateTenantMapping(_Other, common.ShowOne):
    """Map a project of this site to one of another site, on both sites"""

    def get_parser(self, prog_name):
        parser = super(CreateTenantMapping, self).get_parser(prog_name)
        parser.add_argument(
            '--local-tenant', metavar='<local-project-id>', required=True,
            help='Id of the project on this site')
        parser.add_argument(
            '--remote-site', metavar='<remote-site-id>', required=True,
            help='The other site (id or name)')
        parser.add_argument(
            '--remote-tenant', metavar='<remote-project-id>', required=True,
            help='Id of the project on the other site')
        parser.add_argument(
            '--description', metavar='<description>',
            help='What the mapping is for')
        return parser

    def take_action(self, parsed_args):
        local, remote = self.other(parsed_args.remote_site)
        if remote['id'] == local['id']:
            raise osc_exc.CommandError(
                'The remote site must be another one than %s.'
                % local['name'])
        row = {
            'id': str(uuid.uuid4()),
            'local_tenant': parsed_args.local_tenant,
            'remote_site': remote['id'],
            'remote_tenant': parsed_args.remote_tenant,
        }
        if parsed_args.description is not None:
            row['description'] = parsed_args.description
        try:
            made = self.client.tenant_mapping_create(row)
        except exceptions.Conflict:
            # A former attempt may have got this far and no further.
            made = next(
                (known for known in self.client.tenant_mappings()
                 if known['local_tenant'] == row['local_tenant']
                 and known['remote_tenant'] == row['remote_tenant']
                 and known['remote_site'] in (
                     remote['id'], remote['name'])), None)
            if made is None:
                raise
            self.tell('The mapping is here already.')
        mirror = dict(
            row, id=made['id'], local_tenant=row['remote_tenant'],
            remote_tenant=row['local_tenant'], remote_site=local['id'])
        try:
            self.connect(remote, local).tenant_mapping_create(mirror)
        except exceptions.Conflict:
            pass
        except exceptions.ProtectorError as exc:
            raise osc_exc.CommandError(
                'The mapping is stored here, but not on site %s: %s\n'
                'Run the same command again when %s answers.'
                % (remote['name'], exc, remote['name']))
        return common.pick(made, FIELDS)


class ListTenantMapping(common.Lister):
    """List tenant mappings"""

    def take_action(self, parsed_args):
        return common.table(
            self.client.tenant_mappings(),
            [(name, name) for name in FIELDS[:-1]])


class ShowTenantMapping(common.ShowOne):
    """Show a tenant mapping"""

    def get_parser(self, prog_name):
        parser = super(ShowTenantMapping, self).get_parser(prog_name)
        parser.add_argument(
            'mapping', metavar='<mapping>', help='Id of the mapping')
        return parser

    def take_action(self, parsed_args):
        return common.pick(
            self.client.tenant_mapping(parsed_args.mapping), FIELDS)


class DeleteTenantMapping(_Other, common.Command):
    """Delete tenant mappings on both sites"""

    def get_parser(self, prog_name):
        parser = super(DeleteTenantMapping, self).get_parser(prog_name)
        parser.add_argument(
            'mapping', metavar='<mapping>', nargs='+',
            help='Id of the mapping')
        return parser

    def take_action(self, parsed_args):
        for mapping_id in parsed_args.mapping:
            row = self.client.tenant_mapping(mapping_id)
            local, remote = self.other(row['remote_site'])
            there = self.connect(remote, local)
            # The far side first: what fails can then be repeated.
            try:
                there.tenant_mapping_delete(mapping_id)
            except exceptions.NotFound:
                pass
            self.client.tenant_mapping_delete(mapping_id)
