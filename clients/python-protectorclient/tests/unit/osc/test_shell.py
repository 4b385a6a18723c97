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

import os
import subprocess
import sys
import tempfile
import unittest

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
