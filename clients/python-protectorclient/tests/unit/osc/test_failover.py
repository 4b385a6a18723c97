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

"""Failover, planned and unplanned, against two fake sites."""

import io
import os
from unittest import mock

from osc_lib import exceptions as osc_exc

from protectorclient.osc import common
from protectorclient.osc.v1 import action
from protectorclient.osc.v1 import operation
from protectorclient.osc.v1 import protection_group
from protectorclient.osc.v1 import site
from protectorclient.osc.v1 import sync
from tests.unit import base


class TestFailover(base.CommandCase):
    def setUp(self):
        super(TestFailover, self).setUp()
        self.group = self.make_group()

    def test_without_waiting(self):
        shown = self.data(
            action.Failover, 'prod-web-app', '--network-mapping',
            'net-a=net-b', '--network-mapping', 'x=y=z',
            '--flavor-mapping', 'm1=m2', '--keypair-mapping', 'k=l')
        self.assertEqual('pending', shown['status'])
        self.assertIn('operation show %s' % shown['id'],
                      self.app.stderr.getvalue())
        self.assertEqual(
            {'type': 'planned', 'mappings': {
                'networks': {'net-a': 'net-b', 'x=y': 'z'},
                'flavors': {'m1': 'm2'}, 'keypairs': {'k': 'l'}}},
            self.a.operations[shown['id']]['options'])
        self.assertEqual(shown['id'], self.b.groups[self.group][
            'document']['intent'])

    def test_wait(self):
        shown = self.data(action.Failover, 'prod-web-app', '--wait')
        self.assertEqual(
            ['prepare', 'storage_failover', 'instance_recreation',
             'finalization'], shown['steps_completed'])
        self.assertEqual(
            '  0% pending prepare\n'
            ' 45% running instance_recreation\n'
            '100% completed\n', self.app.stderr.getvalue())
        self.assertEqual('synced', self.a.groups[self.group]['sync'])

    def test_from_the_other_site(self):
        self.use(self.b)
        shown = self.data(action.Failover, 'prod-web-app', '--wait')
        self.assertEqual('completed', shown['status'])
        self.assertIn('site-a', self.app.stderr.getvalue())

    def end_as(self, **fields):
        def hook(fake, method, path, body):
            for row in self.a.operations.values():
                row['script'][:] = [dict(fields, status='failed')]
        self.a.before.append(hook)

    def test_rolled_back(self):
        self.end_as(outcome='rolled_back', error_message='no snapshot')
        with self.assertRaisesRegex(
                osc_exc.CommandError, 'was rolled back: no snapshot'):
            self.run_command(action.Failover, 'prod-web-app', '--wait')

    def test_failed(self):
        self.end_as(outcome='partial', error_message='one is missing')
        with self.assertRaisesRegex(
                osc_exc.CommandError, r'failed \(partial\): one is miss'):
            self.run_command(action.Failover, 'prod-web-app', '--wait')

    def test_interrupted(self):
        with mock.patch('protectorclient.coordinator.SitePair.follow',
                        side_effect=KeyboardInterrupt):
            with self.assertRaises(SystemExit) as caught:
                self.run_command(action.Failover, 'prod-web-app', '--wait')
        self.assertEqual(130, caught.exception.code)
        self.assertIn('continues', self.app.stderr.getvalue())

    def test_unplanned_asks(self):
        with mock.patch('sys.stdin', io.StringIO('')):
            with self.assertRaisesRegex(osc_exc.CommandError, '--yes'):
                self.run_command(action.Failover, 'prod-web-app', '--type',
                                 'unplanned')
        stdin = io.StringIO('other\n')
        stdin.isatty = lambda: True
        self.assertRaises(
            osc_exc.CommandError, common.confirm, '?', ('x',), stdin,
            io.StringIO())
        self.assertEqual({}, self.a.operations)

    def test_malformed_mapping(self):
        with mock.patch('sys.stderr', io.StringIO()):
            self.assertRaises(
                SystemExit, self.run_command, action.Failover, 'g',
                '--network-mapping', 'x')

    def test_bar_on_a_terminal(self):
        stream = io.StringIO()
        stream.isatty = lambda: True
        bar = action.Progress(stream)
        bar.show({'status': 'running', 'progress': 50,
                  'current_step': 'storage_failover'})
        bar.end()
        self.assertEqual(
            '\r[###############...............]  50% running '
            'storage_failover\n', stream.getvalue())


class TestUnplannedFailover(base.CommandCase):
    """Site a is lost, site b takes over."""

    ARGS = ('prod-web-app', '--type', 'unplanned', '--yes')

    def setUp(self):
        super(TestUnplannedFailover, self).setUp()
        self.group = self.make_group()
        for name in ('m-1', 'm-2'):
            for fake in (self.a, self.b):
                fake.groups[self.group]['document']['members'].append(
                    {'id': name, 'instance_id': name})
        self.use(self.b)
        self.world.log[:] = []

    def asked(self, letter='a'):
        return [call for call in self.world.log if call[0] == letter]

    def test_without_waiting(self):
        self.a.down = True
        shown = self.data(action.Failover, *(
            self.ARGS + ('--network-mapping', 'net-a=net-b')))
        self.assertEqual(('pending', self.a.id, self.b.id), (
            shown['status'], shown['source_site_id'],
            shown['target_site_id']))
        self.assertEqual(
            {'type': 'unplanned', 'mappings': {
                'networks': {'net-a': 'net-b'}}},
            self.b.operations[shown['id']]['options'])
        self.assertIn('operation show %s' % shown['id'],
                      self.app.stderr.getvalue())

    def test_a_living_peer_is_left_alone(self):
        sign_ins = []
        self.requests.register_uri(
            'GET', self.a.auth_url,
            json=lambda request, context: sign_ins.append(request))
        self.data(action.Failover, *self.ARGS)
        self.assertEqual(([], []), (self.asked(), sign_ins))

    def test_wait(self):
        self.a.down = True
        shown = self.data(action.Failover, *(self.ARGS + ('--wait',)))
        self.assertEqual(('completed', 0), (shown['status'], self.code))
        said = self.app.stderr.getvalue()
        self.assertIn('100% completed\n', said)
        self.assertIn('Site site-a has not been told yet', said)
        self.assertIn('by any later command', said)
        self.assertIn('sync-force prod-web-app', said)

    def test_the_peer_is_told_after_the_end_only(self):
        before = []

        def look(fake, method, path, body):
            states = [row['status'] for row in self.b.operations.values()]
            before.append(states == ['completed'])
        self.a.before.append(look)
        self.data(action.Failover, *(self.ARGS + ('--wait',)))
        self.assertTrue(before and all(before))
        self.assertEqual(
            self.b.id, self.a.groups[self.group]['document'][
                'current_primary_site_id'])
        self.assertEqual('synced', self.b.groups[self.group]['sync'])
        self.assertNotIn('told', self.app.stderr.getvalue())

    def test_the_peer_learns_of_it_later(self):
        self.a.down = True
        self.data(action.Failover, *(self.ARGS + ('--wait',)))
        self.a.down = False
        self.data(protection_group.ShowProtectionGroup, 'prod-web-app')
        self.assertEqual(
            2, self.a.groups[self.group]['document']['epoch'])
        self.assertEqual('synced', self.b.groups[self.group]['sync'])

    def test_in_part_and_again(self):
        self.a.down = True
        self.b.left_out = {'m-2': 'in no complete snapshot'}
        shown = self.data(action.Failover, *(self.ARGS + ('--wait',)))
        self.assertEqual(('partial', 1), (shown['outcome'], self.code))
        said = self.app.stderr.getvalue()
        self.assertIn('prod-web-app over in part only', said)
        self.assertIn('  web-server-1: in no complete snapshot\n', said)
        self.assertIn('repeat the same command', said)
        shown = self.data(action.Failover, *(self.ARGS + ('--wait',)))
        self.assertEqual(('completed', 0), (shown['outcome'], self.code))
        self.assertEqual(
            2, self.b.groups[self.group]['document']['epoch'])

    def test_in_part_and_silent_about_members(self):
        self.b.left_out = {'m-2': 'x'}
        self.b.fail[('GET', '/members')] = 500
        self.run_command(action.Failover, *(self.ARGS + ('--wait',)))
        self.assertEqual(1, self.code)
        self.assertIn('no reason given', self.app.stderr.getvalue())

    def test_failed(self):
        def hook(fake, method, path, body):
            for row in self.b.operations.values():
                row['script'][:] = [{
                    'status': 'failed', 'outcome': 'rolled_back',
                    'error_message': 'no snapshot'}]
        self.b.before.append(hook)
        self.a.down = True
        with self.assertRaisesRegex(
                osc_exc.CommandError, 'was rolled back: no snapshot'):
            self.run_command(action.Failover, *(self.ARGS + ('--wait',)))
        # nothing was to be told
        self.assertNotIn('told', self.app.stderr.getvalue())

    def test_dead_site_addressed(self):
        self.use(self.a)
        self.a.down = True
        with self.assertRaisesRegex(
                osc_exc.CommandError,
                r'does not answer: (?s:.*)sign in there \(--os-cloud'):
            self.run_command(action.Failover, *self.ARGS)
        self.assertEqual([], self.asked('b'))

    def test_where_the_group_runs(self):
        self.use(self.a)
        with self.assertRaisesRegex(
                osc_exc.CommandError, 'runs on this site already'):
            self.run_command(action.Failover, *self.ARGS)

    def test_interrupted(self):
        with mock.patch('protectorclient.coordinator.SitePair.watch',
                        side_effect=KeyboardInterrupt):
            with self.assertRaises(SystemExit) as caught:
                self.run_command(
                    action.Failover, *(self.ARGS + ('--wait',)))
        self.assertEqual(130, caught.exception.code)
        self.assertEqual([], self.asked())
