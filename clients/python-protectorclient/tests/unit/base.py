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

"""What the unit tests share: two fake sites, and commands run on them."""

import argparse
import io
import os
import tempfile
import unittest
from unittest import mock

from keystoneauth1.identity import v3
from keystoneauth1 import session
import requests_mock

from protectorclient import coordinator
from protectorclient.v1 import client
from tests.fakes import cloud

CLOUDS = '''
clouds:
  site-a: &a
    auth: {auth_url: 'http://keystone-a:5000/v3', username: demo,
           password: secret, project_name: demo,
           user_domain_name: Default, project_domain_name: Default}
    region_name: RegionOne
  site-b:
    auth: {auth_url: 'http://keystone-b:5000', username: demo,
           password: secret, project_name: demo,
           user_domain_name: Default, project_domain_name: Default}
    region_name: RegionOne
'''


def no_sleep(seconds):
    pass


class TestCase(unittest.TestCase):
    def setUp(self):
        super(TestCase, self).setUp()
        self.requests = requests_mock.Mocker()
        self.requests.start()
        self.addCleanup(self.requests.stop)
        self.world = cloud.World(self.requests).register()
        self.a, self.b = self.world.a, self.world.b
        self.told = []

    def caught(self, kind, call, *args, **kwargs):
        """The exception that a call raises."""
        with self.assertRaises(kind) as context:
            call(*args, **kwargs)
        return context.exception

    def client(self, site, **kwargs):
        auth = v3.Password(
            auth_url=site.auth_url, username='demo', password='secret',
            project_name='demo', user_domain_name='Default',
            project_domain_name='Default')
        return client.Client(session.Session(auth=auth), **kwargs)

    def site(self, site):
        return coordinator.Site(
            site.id, site.name, lambda: self.client(site))

    def pair(self, local=None, peer=None):
        return coordinator.SitePair(
            self.site(local or self.a), self.site(peer or self.b),
            self.told.append)

    def make_group(self, name='prod-web-app', synced=True):
        group_id = '12345678-1234-1234-1234-123456789abc'
        row = {'id': group_id, 'name': name, 'replication_type': 'async',
               'primary_site_id': self.a.id,
               'secondary_site_id': self.b.id, 'volume_type': 't'}
        self.pair().guarded(
            group_id, lambda c, h: c.group_create(row, h), creating=True)
        self.world.active()
        return group_id


class CommandCase(TestCase):
    """Runs commands with an app as OpenStackClient provides it."""

    def setUp(self):
        super(CommandCase, self).setUp()
        import openstack.config

        self.home = tempfile.mkdtemp()
        path = os.path.join(self.home, 'clouds.yaml')
        with open(path, 'w') as target:
            target.write(CLOUDS)
        self.config = openstack.config.OpenStackConfig(
            config_files=[path], secure_files=[], vendor_files=[],
            load_envvars=False)
        self.app = mock.Mock(spec_set=[
            'client_manager', 'cloud_config', 'cloud', 'options', 'stdout',
            'stderr', 'stdin', 'command_manager', 'interactive_mode',
            'LOG'])
        self.app.cloud_config = self.config
        self.app.options = argparse.Namespace(os_protector_peer_cloud='')
        # How wide a table is doesn't depend on who runs the tests.
        width = mock.patch.dict(os.environ)
        for patch in (mock.patch('time.sleep', no_sleep), width):
            patch.start()
            self.addCleanup(patch.stop)
        os.environ.pop('COLUMNS', None)
        self.use(self.a)

    def use(self, site):
        self.app.cloud = self.config.get_one(cloud=site.name)
        self.app.client_manager.protector = self.client(site)

    def run_command(self, kind, *argv):
        """Run to the end as the shell does; returns what was printed."""
        self.app.stdout = io.StringIO()
        self.app.stderr = io.StringIO()
        command = kind(self.app, None, cmd_name='protector x')
        parsed = command.get_parser('protector x').parse_args(list(argv))
        self.code = command.run(parsed)
        return self.app.stdout.getvalue()

    def data(self, kind, *argv):
        import json
        return json.loads(self.run_command(kind, *(argv + ('-f', 'json'))))
