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


"""What a failover would find, against two fake sites."""

from protectorclient.osc.v1 import preflight
from tests.unit import base

FINDING = {
    'severity': 'blocker', 'check': 'network', 'member_id': 'm',
    'member': 'web', 'message': 'No such network.', 'remedy': 'Map it.'}


class TestPreflight(base.CommandCase):
    def setUp(self):
        super(TestPreflight, self).setUp()
        self.group = self.make_group()

    def test_ready(self):
        rows = self.data(
            preflight.Preflight, 'prod-web-app', '--network-mapping', 'a=b')
        self.assertEqual([], rows)
        self.assertEqual(0, self.code)
        self.assertIn('nothing stands in the way',
                      self.app.stderr.getvalue())
        self.assertEqual(
            [{'type': 'planned', 'mappings': {'networks': {'a': 'b'}}}],
            self.a.looked)

    def test_not_ready(self):
        self.a.found = {'ready': False, 'findings': [FINDING]}
        rows = self.data(preflight.Preflight, 'prod-web-app')
        self.assertEqual([{
            'Severity': 'blocker', 'Check': 'network', 'Member': 'web',
            'Finding': 'No such network.', 'Remedy': 'Map it.'}], rows)
        self.assertEqual(1, self.code)

    def test_a_planned_one_is_looked_at_where_the_group_runs(self):
        self.use(self.b)
        self.run_command(preflight.Preflight, 'prod-web-app')
        self.assertEqual(1, len(self.a.looked))
        self.assertIn('site-a', self.app.stderr.getvalue())

    def test_an_unplanned_one_is_looked_at_here(self):
        self.use(self.b)
        self.b.found['snapshot'] = {
            'suffix': '7', 'created': '2025-03-12T09:14:00Z'}
        self.run_command(
            preflight.Preflight, 'prod-web-app', '--type', 'unplanned')
        self.assertEqual([{'type': 'unplanned'}], self.b.looked)
        self.assertEqual([], self.a.looked)
        self.assertIn('Data as of 2025-03-12T09:14:00Z',
                      self.app.stderr.getvalue())
