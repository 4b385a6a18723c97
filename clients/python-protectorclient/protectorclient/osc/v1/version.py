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

"""Versions of this client and of the API, and the bare commands."""

import argparse
import difflib

from osc_lib.command import command
from osc_lib import exceptions as osc_exc

import protectorclient
from protectorclient import exceptions
from protectorclient.osc import common


def _known():
    from protectorclient.v1 import client

    return '%s - %s' % (client.format_version(client.MIN_VERSION),
                        client.format_version(client.MAX_VERSION))


def _served(client):
    from protectorclient.v1 import client as api

    return '%s - %s' % tuple(
        api.format_version(version) for version in client.versions())


class ShowVersion(common.Lister):
    """Show the versions of this client and of the sites' APIs"""

    def take_action(self, parsed_args):
        rows = [('client', protectorclient.__version__, _known(), '')]
        client = self.client
        sites, local = [], None
        try:
            served = _served(client)
            sites = client.sites()
            local = self.local_row(sites)
            rows.append((local['name'], '', served, ''))
        except exceptions.ProtectorError as exc:
            rows.append(('addressed site', '', '', str(exc)))
        for row in sites:
            if local is None or row['id'] == local['id']:
                continue
            try:
                rows.append(
                    (row['name'], '', _served(self.connect(row, local)), ''))
            except exceptions.ProtectorError as exc:
                rows.append((row['name'], '', '', str(exc)))
        return ('who', 'version', 'api', 'reason'), rows


class Protector(command.Command):
    """Disaster recovery of servers between two sites"""

    auth_required = False

    def get_parser(self, prog_name):
        parser = super(Protector, self).get_parser(prog_name)
        parser.add_argument('words', nargs='*', metavar='<command>')
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = '\n'.join(self._listing())
        return parser

    def _commands(self):
        top = (self.cmd_name or 'protector').split()[0]
        manager = getattr(self.app, 'command_manager', None)
        names = sorted(manager.commands) if manager is not None else []
        return [name for name in names if name.startswith(top + ' ')]

    def _listing(self):
        return ['commands:'] + ['  ' + name for name in self._commands()]

    def take_action(self, parsed_args):
        if getattr(self.app.options, 'protector_version', False):
            self._version()
            return
        top = (self.cmd_name or 'protector').split()[0]
        if not parsed_args.words:
            self.app.stdout.write('\n'.join(self._listing()) + '\n')
            return
        asked = ' '.join([top] + parsed_args.words)
        near = [name for name in self._commands()
                if name.startswith(asked)] or difflib.get_close_matches(
                    asked, self._commands(), 5, 0.5)
        text = "'%s' is not an openstack command." % asked
        if near:
            text += ' Did you mean one of these?\n' + '\n'.join(
                '  ' + name for name in near)
        raise osc_exc.CommandError(text)

    def _version(self):
        self.app.stdout.write('python-protectorclient %s (Protector API %s)\n'
                              % (protectorclient.__version__, _known()))
        try:
            self.app.stdout.write('%s\n' % self._ask())
        except Exception as exc:
            self.app.stdout.write('server: not asked (%s)\n'
                                  % ' '.join(str(exc).split()))

    def _ask(self):
        """The server's versions, if the credentials at hand are enough."""
        app = self.app
        app.cloud = app.cloud_config.get_one(
            cloud=app.options.cloud, argparse=app.options, validate=True)
        manager = app.client_manager
        manager._cli_options = app.cloud
        manager._auth_required = True
        manager.setup_auth()
        client = manager.protector
        served = _served(client)
        name = 'server'
        try:
            name = next(row['name'] for row in client.sites()
                        if row.get('is_local'))
        except (StopIteration, exceptions.ProtectorError):
            pass
        return '%s: API %s' % (name, served)
