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

"""What the commands share."""

import sys

from osc_lib.command import command
from osc_lib import exceptions as osc_exc

from protectorclient import exceptions


class _Polite(object):
    """Turns this package's errors into OpenStackClient's.

    It prints the text alone and ends with 1, as every other command does.
    """

    def run(self, parsed_args):
        try:
            return super(_Polite, self).run(parsed_args)
        except exceptions.NoSuch as exc:
            raise osc_exc.NotFound(404, str(exc))
        except exceptions.ProtectorError as exc:
            raise osc_exc.CommandError(str(exc))

    # -- both sites --------------------------------------------------------

    @property
    def client(self):
        return self.app.client_manager.protector

    def tell(self, text):
        """A remark for the operator, beside the result."""
        stream = getattr(self.app, 'stderr', None) or sys.stderr
        stream.write(text + '\n')

    def local_row(self, rows):
        """The row of the site that was addressed; it alone knows."""
        shown = self.client.site().get('id')
        for row in rows:
            if row.get('is_local') or (shown and row.get('id') == shown):
                return row
        raise exceptions.ProtectorError(
            'The site that was addressed is not registered with itself; '
            'run `openstack protector site create` there first.')

    def connect(self, row, local=None):
        """Sign in to another site with the entry of clouds.yaml."""
        from protectorclient import peers

        config = self.app.cloud_config
        name = peers.choose(
            peers.clouds(config), row, self.current_cloud(),
            local and local.get('name'), self.named_peer())
        return peers.connect(config, name, self.client._wanted)

    def current_cloud(self):
        from protectorclient import peers

        cloud = getattr(self.app, 'cloud', None)
        if cloud is None:
            return None
        return peers.cloud_of(cloud.name or '', cloud.config)

    def named_peer(self):
        options = getattr(self.app, 'options', None)
        return getattr(options, 'os_protector_peer_cloud', None) or None

    def pair(self, group=None, primary=None, secondary=None):
        """Both sites of a group, the addressed one first."""
        from protectorclient import coordinator

        if group is not None:
            primary = group['primary_site_id']
            secondary = group['secondary_site_id']
        rows = self.client.sites()
        local = self.local_row(rows)
        others = [site for site in (primary, secondary)
                  if site != local['id']]
        if len(others) != 1:
            raise exceptions.ProtectorError(
                'Site %s is not one of the two sites of this protection '
                'group; choose the cloud of one of them.' % local['name'])
        found = [row for row in rows if row['id'] == others[0]]
        if not found:
            raise exceptions.ProtectorError(
                'Site %s is not registered here.' % others[0])
        row = found[0]
        return coordinator.SitePair(
            coordinator.Site(local['id'], local['name'],
                             lambda: self.client),
            coordinator.Site(row['id'], row['name'],
                             lambda: self.connect(row, local)),
            self.tell)

    def find(self, name_or_id):
        """A group and its two sites."""
        group = self.client.find_group(name_or_id)
        return group, self.pair(group)


class Command(_Polite, command.Command):
    pass


class Lister(_Polite, command.Lister):
    pass


class ShowOne(_Polite, command.ShowOne):
    pass


def pick(row, fields, formats=None):
    """Field names and values of one object, for ShowOne."""
    formats = formats or {}
    values = []
    for field in fields:
        value = row.get(field)
        if field in formats:
            value = formats[field](value)
        values.append(value)
    return tuple(fields), tuple(values)


def table(rows, columns, formats=None):
    """Rows for Lister; ``columns`` are pairs of heading and field."""
    formats = formats or {}
    return (
        tuple(heading for heading, _field in columns),
        (tuple(formats[field](row.get(field)) if field in formats
               else row.get(field) for _heading, field in columns)
         for row in rows))


def read_secret(value, prompt, stdin=None, environ=None):
    """A secret that need not stand on the command line.

    ``@FILE`` reads a file, ``-`` standard input; without a value it is asked
    for where a person sits at a terminal.
    """
    stdin = stdin or sys.stdin
    if value == '-':
        value = stdin.readline()
    elif value and value.startswith('@'):
        try:
            with open(value[1:]) as source:
                value = source.read()
        except (IOError, OSError, UnicodeDecodeError) as exc:
            raise osc_exc.CommandError(
                '%s can not be read: %s' % (prompt, exc))
    elif not value:
        if not stdin.isatty():
            raise osc_exc.CommandError(
                '%s is missing: give it as @FILE, - (standard input) or at '
                'a terminal.' % prompt)
        import getpass
        value = getpass.getpass('%s: ' % prompt)
    value = value.strip()
    if not value:
        raise osc_exc.CommandError('%s is empty.' % prompt)
    return value


def confirm(text, expected, stdin=None, stderr=None):
    """Ask at a terminal; elsewhere ``--yes`` is needed."""
    stdin = stdin or sys.stdin
    stderr = stderr or sys.stderr
    if not stdin.isatty():
        raise osc_exc.CommandError(
            'This needs a confirmation: run it at a terminal or with '
            '--yes.')
    stderr.write(text)
    stderr.flush()
    if stdin.readline().strip() not in expected:
        raise osc_exc.CommandError('Not confirmed; nothing was changed.')
