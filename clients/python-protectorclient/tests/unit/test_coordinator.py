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

"""The protocol between two sites, with every part dying in turn."""

import json
from unittest import mock

from protectorclient import coordinator
from protectorclient import exceptions
from tests.fakes import cloud
from tests.unit import base


class TestGuarded(base.TestCase):
    def setUp(self):
        super(TestGuarded, self).setUp()
        self.group = self.make_group()
        self.world.log[:] = []

    def describe(self, pair=None, text='new'):
        pair = pair or self.pair()
        return pair.guarded(
            self.group,
            lambda c, h: c.group_update(
                self.group, {'description': text}, h), 'prod-web-app')

    def stamps(self):
        return [(s.groups[self.group]['document']['version'],
                 s.groups[self.group]['sync']) for s in (self.a, self.b)]

    def test_creation_reaches_both_sites(self):
        self.assertEqual([(1, 'synced'), (1, 'synced')], self.stamps())
        self.assertEqual([], self.told)

    def test_order_of_the_calls(self):
        self.describe()
        path = '/protection-groups/%s' % self.group
        calls = [(letter, method, url.split(path)[-1])
                 for letter, method, url in self.world.log if path in url]
        self.assertEqual([
            ('a', 'POST', '/sync'), ('b', 'POST', '/sync'),
            ('a', 'PATCH', ''), ('a', 'GET', '/metadata'),
            ('b', 'PUT', '/metadata'), ('a', 'POST', '/sync')], calls)
        self.assertEqual([(2, 'synced'), (2, 'synced')], self.stamps())

    def test_peer_down_before(self):
        self.b.down = True
        exc = self.caught(exceptions.Blocked, self.describe)
        self.assertEqual(
            'Error: Cannot modify protection group - remote site '
            'unreachable.\n'
            'Reason: Modification requires both sites to be reachable to '
            'prevent metadata divergence.\n'
            'Action: Wait for the remote site to recover, then run:\n'
            'openstack protector protection-group sync-force prod-web-app',
            str(exc))
        self.assertFalse([c for c in self.world.log if c[1] != 'GET'])

    def test_peer_api_down_keystone_up(self):
        self.requests.register_uri(
            'GET', self.b.base + '/', status_code=503)
        self.assertRaises(exceptions.Blocked, self.describe)

    def test_peer_dies_before_the_statement(self):
        def die(site, method, path, body):
            if body and 'statement' in body:
                site.down = True
        self.b.before.append(die)
        self.assertRaises(exceptions.Blocked, self.describe)
        self.b.down = False
        self.assertEqual([(1, 'synced'), (1, 'synced')], self.stamps())

    def test_peer_dies_before_the_push(self):
        def die(site, method, path, body):
            if method == 'PUT':
                site.down = True
        self.b.before.append(die)
        exc = self.caught(exceptions.PushFailed, self.describe)
        self.assertIn('openstack protector protection-group sync-force '
                      'prod-web-app', str(exc))
        self.assertEqual([(2, 'failed'), (1, 'synced')], self.stamps())
        self.assertEqual('refused',
                         self.a.logs[self.group][0]['event'])
        # blocked as long as it is dead
        self.assertRaises(exceptions.Blocked, self.describe)
        # healed, and said, by the next one that finds it alive
        self.b.before, self.b.down = [], False
        self.describe(text='later')
        self.assertEqual([(3, 'synced'), (3, 'synced')], self.stamps())
        self.assertTrue(any('carried there' in t for t in self.told))

    def test_receipt_lost(self):
        self.b.before.append(self.a_dies_after_put)
        self.assertRaises(exceptions.PushFailed, self.describe)
        self.a.down, self.b.before = False, []
        self.assertEqual([(2, 'pending'), (2, 'synced')], self.stamps())
        self.describe(text='later')
        self.assertEqual([(3, 'synced'), (3, 'synced')], self.stamps())

    def a_dies_after_put(self, site, method, path, body):
        if method == 'PUT':
            self.a.down = True

    def test_force_heals(self):
        self.b.fail[('PUT', '/metadata')] = 500
        self.assertRaises(exceptions.PushFailed, self.describe)
        events = []
        result = self.pair().force(
            self.group, say=lambda e, **f: events.append(e))
        self.assertEqual(('success', 2),
                         (result['status'], result['version']))
        self.assertEqual(
            ['start', 'reachable', 'syncing', 'gathered', 'checksum',
             'pushing', 'pushed', 'done'], events)
        self.assertEqual([(2, 'synced'), (2, 'synced')], self.stamps())

    def test_force_from_the_other_side(self):
        self.b.fail[('PUT', '/metadata')] = 500
        self.assertRaises(exceptions.PushFailed, self.describe)
        self.pair(self.b, self.a).force(self.group)
        self.assertEqual([(2, 'synced'), (2, 'synced')], self.stamps())

    def test_force_where_the_peer_has_nothing(self):
        del self.b.groups[self.group]
        self.pair().force(self.group)
        self.assertEqual([(1, 'synced'), (1, 'synced')], self.stamps())

    def test_reroute(self):
        self.describe(self.pair(self.b, self.a))
        self.assertEqual([(2, 'synced'), (2, 'synced')], self.stamps())
        self.assertEqual(1, len(self.told))
        self.assertIn('site-a', self.told[0])

    def test_concurrent_change_is_not_overwritten(self):
        def other(site, method, path, body):
            if method == 'PATCH':
                site.before = []
                self.describe(text='theirs')
        self.a.before.append(other)
        exc = self.caught(exceptions.Conflict, self.describe)
        self.assertIn('version 1', str(exc))
        self.assertEqual([(2, 'synced'), (2, 'synced')], self.stamps())

    def test_a_change_that_was_overtaken_is_made_again(self):
        def engine(site, method, path, body):
            if method == 'PATCH':
                site.before = []
                raise cloud.Fault(409, 'Changed meanwhile.', overtaken=True)
        self.a.before.append(engine)
        self.describe(text='mine')
        self.assertEqual([(2, 'synced'), (2, 'synced')], self.stamps())

    def test_foreign_conflict_is_told(self):
        self.a.groups[self.group]['document']['intent'] = 'op-1'
        exc = self.caught(exceptions.Conflict, self.describe)
        self.assertEqual('Operation op-1 is not over. (HTTP 409)', str(exc))

    def test_wrong_site_behind_the_entry(self):
        pair = coordinator.SitePair(
            self.site(self.a),
            coordinator.Site(self.b.id, 'site-b',
                             lambda: self.client(self.a)))
        self.assertRaises(exceptions.WrongSite, self.describe, pair)
        self.assertEqual([(1, 'synced'), (1, 'synced')], self.stamps())

    def test_both_ends_the_same(self):
        self.assertRaises(
            exceptions.WrongSite, self.pair, self.a, self.a)

    def test_bundle_is_not_looked_into(self):
        seen = []

        def spy(site, method, path, body):
            if method == 'PUT':
                seen.append(body['bundle'])
        self.b.before.append(spy)
        self.describe()
        self.assertEqual({'origin', 'payload'}, set(seen[0]))

    def test_delete(self):
        self.pair().delete(self.group)
        self.assertEqual(({}, {}), (self.a.groups, self.b.groups))

    def test_delete_waits_out_a_short_silence(self):
        self.world.log[:] = []

        def die(site, method, path, body):
            if method == 'DELETE':
                site.before = []
                site.down = True

        def sleep(seconds):
            self.b.down = False
        self.b.before.append(die)
        self.pair().delete(self.group, sleep=sleep)
        self.assertEqual(({}, {}), (self.a.groups, self.b.groups))

    def test_delete_again_while_deleting(self):
        group = self.a.groups[self.group]
        group['status'] = 'deleting'
        with mock.patch.object(self.a, '_guard'):
            self.pair().delete(self.group)
        self.assertEqual({}, self.b.groups)

    def test_delete_that_does_not_reach_the_peer(self):
        def die(site, method, path, body):
            if method == 'DELETE':
                site.down = True
        self.b.before.append(die)
        self.assertRaises(
            exceptions.PushFailed, self.pair().delete, self.group,
            sleep=base.no_sleep)


class TestOperation(base.TestCase):
    def setUp(self):
        super(TestOperation, self).setUp()
        self.group = self.make_group()

    def test_intent_and_outcome_are_carried(self):
        pair = self.pair()
        operation = pair.start(self.group, 'failover', {'type': 'planned'})
        self.assertEqual(
            operation['id'],
            self.b.groups[self.group]['document']['intent'])
        seen = []
        ended = pair.follow(operation, seen=seen.append,
                            sleep=base.no_sleep)
        self.assertEqual('completed', ended['status'])
        self.assertEqual([0, 45, 100], [o['progress'] for o in seen])
        self.assertEqual(
            self.b.id, self.b.groups[self.group]['document'][
                'current_primary_site_id'])
        self.assertEqual('synced', self.a.groups[self.group]['sync'])

    def run_without_carrying(self):
        pair = self.pair()
        operation = pair.start(self.group, 'failover', {'type': 'planned'})
        client = pair.primary.client
        while client.operation(operation['id'])['status'] != 'completed':
            pass
        return operation

    def test_outcome_carried_by_the_next_change(self):
        for local, peer in ((self.a, self.b), (self.b, self.a)):
            self.setUp()
            self.run_without_carrying()
            self.pair(self.a, self.b).guarded(
                self.group, lambda c, h: c.group_update(
                    self.group, {'description': 'x'}, h))
            self.assertEqual('x', self.b.groups[self.group]['document'][
                'description'])
            self.assertEqual('x', self.a.groups[self.group]['document'][
                'description'])

    def test_a_silent_api_is_waited_for(self):
        pair = self.pair()
        operation = pair.start(self.group, 'failover', {'type': 'planned'})

        def sleep(seconds):
            self.a.down = not self.a.down
        ended = pair.follow(operation, sleep=sleep)
        self.assertEqual('completed', ended['status'])
        self.assertIn('still trying', self.told[0])

    def test_outcome_that_can_not_be_carried(self):
        pair = self.pair()
        operation = pair.start(self.group, 'failover', {'type': 'planned'})
        self.b.fail[('PUT', '/metadata')] = 500
        ended = pair.follow(operation, sleep=base.no_sleep)
        self.assertEqual('completed', ended['status'])
        self.assertIn('sync-force', self.told[0])
        self.pair().force(self.group)
        self.assertEqual(
            self.b.id, self.b.groups[self.group]['document'][
                'current_primary_site_id'])


class TestImports(base.TestCase):
    def test_no_user_interface_is_imported(self):
        import subprocess
        import sys
        code = ('import sys, json, protectorclient.coordinator, '
                'protectorclient.peers; '
                'print(json.dumps([m for m in sys.modules if m.split(".")[0]'
                ' in ("osc_lib", "cliff", "django", "openstackclient")]))')
        out = subprocess.check_output([sys.executable, '-c', code])
        self.assertEqual([], json.loads(out.decode()))

    def test_plugin_stays_light(self):
        import subprocess
        import sys
        code = (
            'import sys, osc_lib.command.command, osc_lib.utils\n'
            'before = set(sys.modules)\n'
            'from importlib import import_module as load\n'
            'for name in ("plugin", "root_plugin", "v1.site", "v1.sync",\n'
            '             "v1.protection_group", "v1.member", "v1.policy",\n'
            '             "v1.action", "v1.operation", "v1.version",\n'
            '             "v1.tenant_mapping", "v1.consistency_group"):\n'
            '    load("protectorclient.osc." + name)\n'
            'print(",".join(m for m in set(sys.modules) - before\n'
            '      if "keystoneauth1" in m or m.startswith("openstack")\n'
            '      or m.endswith(("coordinator", "v1.client"))))')
        out = subprocess.check_output([sys.executable, '-c', code])
        self.assertEqual('', out.decode().strip())
