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

"""Sites: who takes part."""

from osc_lib import exceptions as osc_exc
from osc_lib import utils

from protectorclient import exceptions
from protectorclient.osc import columns
from protectorclient.osc import common

FIELDS = ('id', 'name', 'description', 'site_type', 'auth_url',
          'region_name', 'status', 'status_reason', 'is_local', 'public_key',
          'has_service_credentials', 'created_at', 'updated_at')

#: what every site knows of every site; credentials are no part of it
SHARED = ('id', 'name', 'description', 'site_type', 'auth_url',
          'region_name', 'public_key')

TYPES = ('primary', 'secondary')


def _add_row_options(parser, required):
    parser.add_argument(
        '--description', metavar='<description>',
        help='What an operator should know of the site')
    parser.add_argument(
        '--site-type', metavar='<primary|secondary>', choices=TYPES,
        required=required,
        help='Which role the site usually has: primary or secondary')
    parser.add_argument(
        '--auth-url', metavar='<auth-url>', required=required,
        help="URL of the site's Keystone, version 3")
    parser.add_argument(
        '--region-name', metavar='<region-name>',
        help="The site's region; needed where one Keystone has several")


def _add_credential_options(parser):
    group = parser.add_argument_group(
        'service credentials',
        'How the engine of the site at which this command is given signs '
        'in at the named site. Stored encrypted there and nowhere else.')
    group.add_argument(
        '--service-username', metavar='<user>',
        help='User of the named site')
    group.add_argument(
        '--service-password-file', metavar='<file>',
        help="File with the user's password; - reads standard input, "
             'without this option a terminal is asked')
    group.add_argument(
        '--service-project', metavar='<project>',
        help='Project of that user')
    group.add_argument(
        '--service-user-domain', metavar='<domain>',
        help="Domain of that user")
    group.add_argument(
        '--service-project-domain', metavar='<domain>',
        help="Domain of that project")


def _credentials(parsed_args):
    row = {}
    for key in ('service_username', 'service_project',
                'service_user_domain', 'service_project_domain'):
        value = getattr(parsed_args, key)
        if value:
            row[key] = value
    source = parsed_args.service_password_file
    if row.get('service_username') or source:
        if source and source != '-':
            source = '@' + source
        row['service_password'] = common.read_secret(
            source, 'Password of the service user')
    return row


def check_identity(there, row):
    """What was signed in to is the site of that row."""
    shown = there.site().get('id')
    if shown != row['id']:
        raise exceptions.WrongSite(
            'the entry of clouds.yaml leads to another site (%s)' % shown)


class _Spread(object):
    """Brings the rows of this site to the others."""

    def replicate(self, rows=None):
        """Write every row that this site has on every other site.

        A row that is there already is brought up to date.
        """
        rows = rows if rows is not None else self.client.sites()
        local = self.local_row(rows)
        for target in rows:
            if target['id'] == local['id']:
                continue
            try:
                there = self.connect(target, local)
                check_identity(there, target)
                known = {row['id']: row for row in there.sites()}
                for row in rows:
                    self._write(there, row, known.get(row['id']))
            except exceptions.ProtectorError as exc:
                self.tell(
                    'The sites are not written on %s: %s\nRepeat with '
                    '`openstack protector site set %s` when it answers.'
                    % (target['name'], exc, target['name']))

    @staticmethod
    def _write(there, row, known):
        shared = {key: row[key] for key in SHARED
                  if row.get(key) is not None}
        if known is None:
            try:
                there.site_create(shared)
            except exceptions.Conflict:
                pass
            return
        changes = {key: value for key, value in shared.items()
                   if key != 'id' and known.get(key) != value}
        if changes:
            there.site_update(row['id'], changes)


class CreateSite(_Spread, common.ShowOne):
    """Register a site, on this site and on the others"""

    def get_parser(self, prog_name):
        parser = super(CreateSite, self).get_parser(prog_name)
        parser.add_argument(
            '--name', metavar='<name>', required=True,
            help='Name of the site')
        _add_row_options(parser, True)
        _add_credential_options(parser)
        return parser

    def take_action(self, parsed_args):
        row = {
            'name': parsed_args.name,
            'description': parsed_args.description,
            'site_type': parsed_args.site_type,
            'auth_url': parsed_args.auth_url,
            'region_name': parsed_args.region_name,
        }
        row = {key: value for key, value in row.items()
               if value is not None}
        site = self._identity(row)
        row['id'] = site['id']
        for key in ('public_key', 'region_name'):
            if site.get(key):
                row.setdefault(key, site[key])
        credentials = _credentials(parsed_args)
        try:
            made = self.client.site_create(
                dict(row, **credentials), secret=bool(credentials))
        except exceptions.Conflict:
            made = self._already(row)
            if made is None:
                raise
        rows = self.client.sites()
        if any(known['id'] == self.client.site().get('id')
               for known in rows):
            self.replicate(rows)
        else:
            self.tell('Register this site, too, so that the others learn '
                      'of it.')
        return common.pick(made, FIELDS)

    def _already(self, row):
        """The very same row, if a former attempt has written it."""
        for known in self.client.sites():
            if known['id'] == row['id'] and known['name'] == row['name']:
                self.tell('Site %s is registered here already.'
                          % row['name'])
                return known
        return None

    def _identity(self, row):
        """Id and key, as the site's own API shows them."""
        from protectorclient import peers

        current = self.current_cloud()
        if current is not None and peers.same_place(current, row) and (
                current.region or not row.get('region_name')):
            site = self.client.site()
        else:
            local = next((known for known in self.client.sites()
                          if known.get('is_local')), None)
            site = self.connect(row, local).site()
        if not site.get('id'):
            raise osc_exc.CommandError(
                'The protector API of site %s does not show who it is; '
                'run `protector-manage db sync` there.' % row['name'])
        return site


class ListSite(common.Lister):
    """List the registered sites"""

    def get_parser(self, prog_name):
        parser = super(ListSite, self).get_parser(prog_name)
        parser.add_argument(
            '--long', action='store_true', help='List additional fields')
        return parser

    def take_action(self, parsed_args):
        shown = [('id', 'id'), ('name', 'name'), ('type', 'site_type'),
                 ('auth_url', 'auth_url'), ('status', 'status')]
        if parsed_args.long:
            shown += [('region_name', 'region_name'),
                      ('is_local', 'is_local'),
                      ('status_reason', 'status_reason'),
                      ('description', 'description')]
        return common.table(self.client.sites(), shown)


class ShowSite(common.ShowOne):
    """Show a registered site"""

    def get_parser(self, prog_name):
        parser = super(ShowSite, self).get_parser(prog_name)
        parser.add_argument('site', metavar='<site>', help='Name or id')
        return parser

    def take_action(self, parsed_args):
        row = self.client.find_site(parsed_args.site)
        try:
            row = self.client.site_show(row['id'])
        except exceptions.Forbidden:
            # members see what the list shows
            pass
        return common.pick(row, FIELDS)


class SetSite(_Spread, common.Command):
    """Change a registered site, on this site and on the others"""

    def get_parser(self, prog_name):
        parser = super(SetSite, self).get_parser(prog_name)
        parser.add_argument('site', metavar='<site>', help='Name or id')
        parser.add_argument('--name', metavar='<name>', help='New name')
        _add_row_options(parser, False)
        _add_credential_options(parser)
        return parser

    def take_action(self, parsed_args):
        row = self.client.find_site(parsed_args.site)
        changes = {}
        for key in ('name', 'description', 'site_type', 'auth_url',
                    'region_name'):
            value = getattr(parsed_args, key)
            if value is not None:
                changes[key] = value
        credentials = _credentials(parsed_args)
        if changes or credentials:
            self.client.site_update(
                row['id'], dict(changes, **credentials),
                secret=bool(credentials))
        if changes or not credentials:
            self.replicate()


class DeleteSite(common.Command):
    """Forget registered sites, here and on the others"""

    def get_parser(self, prog_name):
        parser = super(DeleteSite, self).get_parser(prog_name)
        parser.add_argument(
            'site', metavar='<site>', nargs='+', help='Name or id')
        return parser

    def take_action(self, parsed_args):
        failed = 0
        for ref in parsed_args.site:
            try:
                self._delete(ref)
            except exceptions.ProtectorError as exc:
                failed += 1
                self.tell('Site %s: %s' % (ref, exc))
        if failed:
            raise osc_exc.CommandError('%d of %d sites were not deleted.' % (
                failed, len(parsed_args.site)))

    def _delete(self, ref):
        rows = self.client.sites()
        row = self.client.find_site(ref)
        local = next((r for r in rows if r.get('is_local')), None)
        self.client.site_delete(row['id'])
        if local is None or row['id'] == local['id']:
            return
        for target in rows:
            if target['id'] in (local['id'], row['id']):
                continue
            try:
                self.connect(target, local).site_delete(row['id'])
            except exceptions.NotFound:
                pass
            except exceptions.ProtectorError as exc:
                self.tell('Site %s still knows %s: %s' % (
                    target['name'], row['name'], exc))


class ValidateSite(common.ShowOne):
    """Check whether a site can be reached and has what is needed

    The sites look at each other: the addressed one at the named one, and
    back. The command ends normally when the site is unreachable: that is
    its finding, shown as the status.
    """

    def get_parser(self, prog_name):
        parser = super(ValidateSite, self).get_parser(prog_name)
        parser.add_argument('site', metavar='<site>', help='Name or id')
        return parser

    def take_action(self, parsed_args):
        from protectorclient import validation

        row = self.client.find_site(parsed_args.site)
        rows = self.client.sites()
        local = self.local_row(rows)
        first, checks = validation.validate(
            self.client, local, row, rows,
            lambda other: self._identified(other, local))
        site = dict(row, **first.site)
        names, values = common.pick(
            site, ('id', 'name', 'auth_url', 'status', 'status_reason'))
        return names + ('checks',), values + (Checks(checks),)

    def _identified(self, row, local):
        there = self.connect(row, local)
        check_identity(there, row)
        return there


class Checks(columns.Ordered):
    """One line a check where a person reads."""

    def human_readable(self):
        return '\n'.join('%s %s %s: %s' % (
            'ok    ' if check.get('ok') else 'FAILED',
            check.get('direction'), check.get('name'), check.get('message')
            or ('' if check.get('ok') else 'no reason given'))
            for check in self._value)


class ListSiteVolumeTypes(common.Lister):
    """List the volume types of a site that can be protected"""

    def get_parser(self, prog_name):
        parser = super(ListSiteVolumeTypes, self).get_parser(prog_name)
        parser.add_argument('site', metavar='<site>', help='Name or id')
        return parser

    def take_action(self, parsed_args):
        row = self.client.find_site(parsed_args.site)
        names = ('id', 'name', 'replication_enabled', 'replication_type')
        return names, (
            utils.get_dict_properties(kind, names)
            for kind in self.client.site_volume_types(row['id']))
