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

"""The plugin inside the real ``openstack`` program."""

import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from tests.unit import base

PROGRAM = os.path.join(os.path.dirname(sys.executable), 'openstack')


@unittest.skipUnless(os.path.exists(PROGRAM), 'no openstack program')
class TestShell(unittest.TestCase):
    def run_shell(self, *argv, **env):
        home = tempfile.mkdtemp()
        clean = {key: value for key, value in os.environ.items()
                 if not key.startswith('OS_')}
        clean.update(HOME=home, **env)
        done = subprocess.run(
            (PROGRAM,) + argv, env=clean, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, universal_newlines=True, cwd=home,
            stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr

    def test_help(self):
        code, out, _err = self.run_shell('protector', '--help')
        self.assertEqual(0, code)
        self.assertIn('  protector protection-group sync-force\n', out)

    def test_bare(self):
        for word in ('protector', 'dr'):
            code, out, _err = self.run_shell(word)
            self.assertEqual(0, code)
            self.assertIn('%s tenant mapping create' % word, out)

    def test_version(self):
        code, out, _err = self.run_shell('protector', '--version')
        self.assertEqual(0, code)
        self.assertIn(
            'python-protectorclient 0.1.0 (Protector API 1.0 - 1.1)', out)
        self.assertIn('server: not asked', out)
        _code, out, _err = self.run_shell('--version')
        self.assertTrue(out.startswith('openstack '))

    def test_unknown_word(self):
        code, _out, err = self.run_shell('protector', 'sit', 'lost')
        self.assertNotEqual(0, code)
        self.assertIn('protector site list', err)

    def test_completion(self):
        _code, out, _err = self.run_shell('complete')
        self.assertIn("cmds_protector='consistency-group operation "
                      "protection-group site tenant version'", out)

    def test_alias_of_everything(self):
        _code, ours, _err = self.run_shell('protector')
        _code, theirs, _err = self.run_shell('dr')
        for line in ours.splitlines():
            self.assertIn(line.replace('  protector ', '  dr '), theirs)
        self.assertIn('  dr failover\n', theirs)


class TestInProcess(base.TestCase):
    """The whole way from the command line to both fake sites."""

    def setUp(self):
        super(TestInProcess, self).setUp()
        self.home = tempfile.mkdtemp()
        path = os.path.join(self.home, 'clouds.yaml')
        with open(path, 'w') as target:
            target.write(base.CLOUDS)
        clean = {key: value for key, value in os.environ.items()
                 if not key.startswith('OS_')}
        clean.update(OS_CLIENT_CONFIG_FILE=path, HOME=self.home)
        for patch in (mock.patch.dict(os.environ, clean, clear=True),
                      mock.patch('time.sleep', base.no_sleep)):
            patch.start()
            self.addCleanup(patch.stop)

    def shell(self, *argv):
        from openstackclient import shell
        from osc_lib import clientmanager

        # one process, several programs: the client is kept on the class
        kept = vars(clientmanager.ClientManager).get('protector')
        if kept is not None:
            kept._handle = None
        out, err = io.StringIO(), io.StringIO()
        with mock.patch('sys.stdout', out), mock.patch('sys.stderr', err), \
                mock.patch('sys.argv', ['openstack'] + list(argv)):
            try:
                code = shell.main(list(argv))
            except SystemExit as exc:
                code = exc.code
        return code, out.getvalue(), err.getvalue()

    def test_sync_status_of_both_words(self):
        self.make_group()
        for word in ('protector', 'dr'):
            code, out, err = self.shell(
                '--os-cloud', 'site-a', word, 'protection-group',
                'sync-status', 'prod-web-app')
            self.assertEqual(0, code, err)
            self.assertIn('IN SYNC', out)

    def test_blocked(self):
        self.make_group()
        self.b.down = True
        code, _out, err = self.shell(
            '--os-cloud', 'site-a', 'protector', 'protection-group', 'set',
            'prod-web-app', '--description', 'x')
        self.assertEqual(1, code)
        self.assertIn('Error: Cannot modify protection group - remote site '
                      'unreachable.\nReason: ', err)

    def test_failover_alias_json_on_stdout(self):
        self.make_group()
        code, out, err = self.shell(
            '--os-cloud', 'site-a', 'dr', 'failover', 'prod-web-app',
            '--wait', '-f', 'json')
        self.assertEqual(0, code, err)
        self.assertEqual('completed', json.loads(out)['status'])
        self.assertIn('45% running', err)

    def test_unplanned_failover(self):
        group = self.make_group()
        self.b.groups[group]['document']['members'].append(
            {'id': 'm-1', 'instance_id': 'm-1'})
        self.a.down = True
        words = ('protector', 'protection-group', 'failover',
                 'prod-web-app', '--type', 'unplanned', '--yes', '--wait')
        code, out, err = self.shell('--os-cloud', 'site-a', *words)
        self.assertEqual((1, ''), (code, out))
        self.assertIn('asked of the site that survives: sign in there', err)
        self.assertNotIn('Traceback', err)
        self.b.left_out = {'m-1': 'in no complete snapshot'}
        code, out, err = self.shell(
            '--os-cloud', 'site-b', *(words + ('-f', 'json')))
        self.assertEqual(1, code, err)
        self.assertEqual('partial', json.loads(out)['outcome'])
        self.assertIn('web-server-1: in no complete snapshot', err)
        code, _out, err = self.shell('--os-cloud', 'site-b', *words)
        self.assertEqual(0, code, err)

    def test_interrupted_wait(self):
        self.make_group()
        with mock.patch('protectorclient.coordinator.SitePair.follow',
                        side_effect=KeyboardInterrupt):
            code, _out, err = self.shell(
                '--os-cloud', 'site-a', 'dr', 'failover', 'prod-web-app',
                '--wait')
        self.assertEqual(130, code)
        self.assertIn('continues on the server', err)
        self.assertNotIn('Traceback', err)

    def test_peer_named(self):
        self.make_group()
        for option in (('--peer-os-cloud', 'lost'),
                       ('--secondary-cloud', 'lost')):
            code, _out, err = self.shell(*(
                ('--os-cloud', 'site-a') + option + (
                    'protector', 'protection-group', 'set', 'prod-web-app',
                    '--description', 'x')))
            self.assertEqual(1, code)
            self.assertIn("no entry 'lost'", err)

    def test_version_asks_the_server(self):
        code, out, _err = self.shell(
            '--os-cloud', 'site-b', 'protector', '--version')
        self.assertEqual(0, code)
        self.assertIn('site-b: API 1.0 - 1.1', out)

    def test_api_version_option(self):
        code, _out, err = self.shell(
            '--os-cloud', 'site-a', '--os-protector-api-version', '1.0',
            'protector', 'site', 'list')
        self.assertEqual(0, code, err)
        # nothing to negotiate
        self.assertEqual(
            ['/v1/%s/sites' % self.a.project],
            [path for _method, path, _body in self.a.requests])
        code, _out, err = self.shell(
            '--os-cloud', 'site-a', '--os-protector-api-version', '1.9',
            'protector', 'site', 'list')
        self.assertEqual(1, code)
        self.assertIn('(HTTP 406)', err)

    def test_tokens_are_not_in_the_debug_log(self):
        self.make_group()
        path = os.path.join(self.home, 'token')
        with open(path, 'w') as target:
            target.write('T-hush\n')
        code, out, err = self.shell(
            '--os-cloud', 'site-a', '--debug', 'protector',
            'protection-group', 'policy-create', 'prod-web-app',
            '--primary-fa-url', 'https://a', '--primary-fa-token',
            '@' + path, '--secondary-fa-url', 'https://b',
            '--secondary-fa-token', '@' + path, '--pure-pg-name', 'pg')
        self.assertEqual(0, code, err)
        self.assertNotIn('T-hush', out + err)
