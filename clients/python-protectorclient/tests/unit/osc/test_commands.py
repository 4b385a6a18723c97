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

"""The commands, run against two fake sites."""

import datetime
import io
import os
import re
from unittest import mock

from osc_lib import exceptions as osc_exc

from protectorclient import exceptions
from protectorclient.osc import common
from protectorclient.osc import formatters
from protectorclient.osc.v1 import action
from protectorclient.osc.v1 import consistency_group
from protectorclient.osc.v1 import member
from protectorclient.osc.v1 import operation
from protectorclient.osc.v1 import policy
from protectorclient.osc.v1 import protection_group
from protectorclient.osc.v1 import site
from protectorclient.osc.v1 import sync
from protectorclient.osc.v1 import tenant_mapping
from protectorclient.osc.v1 import version
from tests.unit import base


class TestSite(base.CommandCase):
    def create(self, fake, *more):
        return self.data(
            site.CreateSite, '--name', fake.name, '--description', 'x',
            '--site-type', fake.row()['site_type'], '--auth-url',
            fake.auth_url, '--region-name', 'RegionOne', *more)

    def test_the_two_documented_calls(self):
        self.a.rows.clear()
        self.b.rows.clear()
        shown = self.create(self.a)
        self.assertEqual(self.a.id, shown['id'])
        self.assertEqual(self.a.key, shown['public_key'])
        shown = self.create(self.b)
        self.assertEqual(self.b.id, shown['id'])
        for fake in (self.a, self.b):
            self.assertEqual({self.a.id, self.b.id}, set(fake.rows))
            self.assertEqual(self.b.key, fake.rows[self.b.id]['public_key'])

    def test_create_again_is_harmless(self):
        self.create(self.b)
        self.assertIn('already', self.app.stderr.getvalue())

    def test_create_while_the_site_is_down(self):
        self.b.down = True
        self.assertRaises(osc_exc.CommandError, self.create, self.b)

    def test_spreading_says_what_it_could_not(self):
        self.b.rows.clear()
        self.b.fail[('GET', '/sites')] = 500
        self.run_command(site.SetSite, 'site-b', '--description', 'y')
        self.assertIn('not written on site-b', self.app.stderr.getvalue())
        self.run_command(site.SetSite, 'site-b')
        self.assertEqual('y', self.b.rows[self.b.id]['description'])

    def test_credentials_stay_here(self):
        path = os.path.join(self.home, 'pw')
        with open(path, 'w') as target:
            target.write('s3cret\n')
        self.run_command(
            site.SetSite, 'site-b', '--service-username', 'protector',
            '--service-password-file', path, '--service-project',
            'service', '--service-user-domain', 'Default')
        self.assertEqual({self.b.id: {
            'service_username': 'protector', 'service_password': 's3cret',
            'service_project': 'service',
            'service_user_domain': 'Default'}}, self.a.credentials)
        self.assertEqual({}, self.b.credentials)

    def test_credentials_of_create(self):
        self.a.rows.pop(self.b.id)
        self.b.rows.clear()
        with mock.patch('sys.stdin', io.StringIO('pw\n')):
            self.create(self.b, '--service-username', 'protector',
                        '--service-password-file', '-')
        self.assertEqual(
            'pw', self.a.credentials[self.b.id]['service_password'])
        self.assertEqual({}, self.b.credentials)
        self.assertEqual(2, len(self.b.rows))

    def test_secrets_are_not_logged(self):
        with self.assertLogs('keystoneauth', 'DEBUG') as logs:
            with mock.patch('sys.stdin', io.StringIO('hush\n')):
                self.run_command(
                    site.SetSite, 'site-b', '--service-username', 'u',
                    '--service-password-file', '-')
        self.assertNotIn('hush', '\n'.join(logs.output))

    def test_list_headings(self):
        text = self.run_command(site.ListSite)
        self.assertRegex(
            text, r'\| id +\| name +\| type +\| auth_url +\| status')
        self.assertEqual(
            ['site-a', 'site-b'],
            [row['name'] for row in self.data(site.ListSite, '--long')])

    def test_show(self):
        self.assertTrue(self.data(site.ShowSite, 'site-a')['is_local'])
        self.a.admin = False
        self.assertEqual(
            self.b.id, self.data(site.ShowSite, self.b.id)['id'])
        with self.assertRaisesRegex(
                osc_exc.NotFound, "No site with a name or ID of 'x'"):
            self.run_command(site.ShowSite, 'x')

    def test_validate_ends_normally(self):
        shown = self.data(site.ValidateSite, 'site-b')
        self.assertEqual('unreachable', shown['status'])
        self.assertEqual(
            {'name': 'keystone', 'ok': False, 'direction': 'site-a -> site-b',
             'message': 'connection refused'}, shown['checks'][0])
        self.assertIn('FAILED site-a -> site-b keystone: connection refused',
                      self.run_command(site.ValidateSite, 'site-b'))

    def validated(self, name):
        return {(row['direction'], row['name']): row for row in self.data(
            site.ValidateSite, name)['checks']}

    def test_validate_looks_in_both_directions(self):
        for name in ('site-a', 'site-b'):
            found = self.validated(name)
            self.assertIn(('site-a -> ' + name, 'keystone'), found)
            self.assertIn(('site-b -> site-a', 'keystone'), found)
            both = {check: row['ok'] for (where, check), row in found.items()
                    if where == 'site-a <-> site-b'}
            self.assertEqual({'release': True, 'clocks': True}, both)

    def test_validate_tells_what_the_sites_differ_in(self):
        self.b.release, self.b.clock_ahead = '0.2.0', 40
        found = self.validated('site-b')
        release = found['site-a <-> site-b', 'release']
        self.assertFalse(release['ok'])
        self.assertIn('0.1.0 at site-a and 0.2.0 at site-b',
                      release['message'])
        clocks = found['site-a <-> site-b', 'clocks']
        self.assertFalse(clocks['ok'])
        self.assertIn('at site-b is 40 seconds ahead of that at site-a',
                      clocks['message'])

    def test_validate_says_who_could_not_be_asked(self):
        self.b.down = True
        found = self.validated('site-b')
        self.assertIn(('site-a -> site-b', 'keystone'), found)
        silent = found['site-b -> site-a', 'protector']
        self.assertFalse(silent['ok'])
        self.assertIn('Site site-b was not asked', silent['message'])

    def test_volume_types(self):
        self.assertEqual([{
            'id': 't1', 'name': 'replicated-ssd',
            'replication_enabled': '<is> True',
            'replication_type': '<in> async'}],
            self.data(site.ListSiteVolumeTypes, 'site-a'))

    def test_delete(self):
        self.run_command(site.DeleteSite, 'site-b')
        self.assertEqual([self.a.id], list(self.a.rows))
        with self.assertRaisesRegex(osc_exc.CommandError, '1 of 1'):
            self.run_command(site.DeleteSite, 'nope')


class TestTenantMapping(base.CommandCase):
    ARGS = ('--local-tenant', 'p1', '--remote-site', 'site-b',
            '--remote-tenant', 'p2', '--description', 'd')

    def test_create_reaches_the_remote_site(self):
        shown = self.data(tenant_mapping.CreateTenantMapping, *self.ARGS)
        mirror = self.b.mappings[shown['id']]
        self.assertEqual(
            ('p2', self.a.id, 'p1', 'd'),
            (mirror['local_tenant'], mirror['remote_site'],
             mirror['remote_tenant'], mirror['description']))

    def test_repeat_completes_half_a_creation(self):
        self.b.down = True
        with self.assertRaisesRegex(osc_exc.CommandError, 'same command'):
            self.run_command(tenant_mapping.CreateTenantMapping, *self.ARGS)
        self.b.down = False
        shown = self.data(tenant_mapping.CreateTenantMapping, *self.ARGS)
        self.assertEqual([shown['id']], list(self.b.mappings))

    def test_list_show_delete(self):
        made = self.data(tenant_mapping.CreateTenantMapping, *self.ARGS)
        self.assertEqual(1, len(self.data(
            tenant_mapping.ListTenantMapping)))
        self.assertEqual(made, self.data(
            tenant_mapping.ShowTenantMapping, made['id']))
        self.run_command(tenant_mapping.DeleteTenantMapping, made['id'])
        self.assertEqual(({}, {}), (self.a.mappings, self.b.mappings))


class TestGroup(base.CommandCase):
    CREATE = ('--name', 'prod-web-app', '--description', 'Production',
              '--replication-type', 'async', '--primary-site', 'site-a',
              '--secondary-site', 'site-b', '--volume-type', 'ssd')

    def test_create(self):
        shown = self.data(
            protection_group.CreateProtectionGroup, *self.CREATE)
        self.assertEqual([
            'id', 'name', 'description', 'status', 'replication_type',
            'primary_site', 'secondary_site', 'current_primary_site',
            'consistency_group_id', 'failover_count', 'created_at'],
            list(shown))
        self.assertEqual('creating', shown['status'])
        self.assertEqual('site-a', shown['current_primary_site'])
        self.assertEqual(list(self.a.groups), list(self.b.groups))

    def test_create_from_the_other_site(self):
        self.use(self.b)
        self.run_command(
            protection_group.CreateProtectionGroup, *self.CREATE)
        self.assertIn('site-a', self.app.stderr.getvalue())
        group, = self.a.groups.values()
        self.assertEqual('synced', group['sync'])

    def test_create_waits(self):
        def settle(fake, method, path, body):
            if method == 'GET' and path.endswith(tuple(self.a.groups)):
                self.world.active()
        self.a.before.append(settle)
        self.assertEqual('active', self.data(
            protection_group.CreateProtectionGroup,
            *(self.CREATE + ('--wait',)))['status'])

    def test_create_that_ends_in_error(self):
        def settle(fake, method, path, body):
            for group in self.a.groups.values():
                group['status'] = 'error'
        self.a.before.append(settle)
        self.assertRaises(
            osc_exc.CommandError, self.run_command,
            protection_group.CreateProtectionGroup,
            *(self.CREATE + ('--wait',)))

    def test_create_with_peer_down(self):
        self.b.down = True
        with self.assertRaisesRegex(
                osc_exc.CommandError, 'remote site unreachable'):
            self.run_command(
                protection_group.CreateProtectionGroup, *self.CREATE)
        self.assertEqual({}, self.a.groups)

    def test_create_with_one_site(self):
        args = [a.replace('site-b', 'site-a') for a in self.CREATE]
        with self.assertRaisesRegex(osc_exc.CommandError, 'different'):
            self.run_command(protection_group.CreateProtectionGroup, *args)

    def test_empty_list(self):
        self.assertEqual(
            [], self.data(protection_group.ListProtectionGroup))

    def test_list_and_show(self):
        group_id = self.make_group()
        row, = self.data(protection_group.ListProtectionGroup, '--long')
        self.assertEqual('prod-web-app', row['name'])
        for ref in (group_id, 'prod-web-app'):
            self.assertEqual(group_id, self.data(
                protection_group.ShowProtectionGroup, ref)['id'])
        with self.assertRaisesRegex(
                osc_exc.NotFound,
                "No protection group with a name or ID of 'x' exists."):
            self.run_command(protection_group.ShowProtectionGroup, 'x')

    def test_show_finishes_what_is_pending(self):
        group_id = self.make_group()
        self.a.groups[group_id]['sync'] = 'pending'
        shown = self.data(
            protection_group.ShowProtectionGroup, 'prod-web-app')
        self.assertEqual('synced', shown['sync_status'])
        self.assertIn('carried there', self.app.stderr.getvalue())

    def test_set(self):
        group_id = self.make_group()
        self.run_command(protection_group.SetProtectionGroup,
                         'prod-web-app', '--description', 'new')
        self.assertEqual('new', self.b.groups[group_id]['document'][
            'description'])

    def test_delete(self):
        self.make_group()
        self.run_command(
            protection_group.DeleteProtectionGroup, 'prod-web-app')
        self.assertEqual(({}, {}), (self.a.groups, self.b.groups))

    def test_consistency_group(self):
        self.make_group()
        self.assertEqual([
            'id', 'protection_group_id', 'volume_type_name', 'backend_name',
            'primary_cg_id', 'secondary_cg_id', 'status', 'volume_count'],
            list(self.data(consistency_group.ShowConsistencyGroup,
                           'prod-web-app')))


class TestMember(base.CommandCase):
    SERVER = 'a1b2c3d4-1111-2222-3333-aabbccddeeff'

    def setUp(self):
        super(TestMember, self).setUp()
        self.group = self.make_group()

    def add(self, *more):
        return self.data(member.AddMember, 'prod-web-app', '--instance-id',
                         self.SERVER, *more)

    def test_add(self):
        shown = self.add()
        self.assertEqual(['id', 'instance_id', 'instance_name', 'status',
                          'volumes_added'], list(shown))
        self.assertEqual(('protected', 2),
                         (shown['status'], shown['volumes_added']))
        self.assertEqual(1, len(self.b.groups[self.group]['document'][
            'members']))

    def test_add_without_waiting(self):
        self.assertEqual('protecting', self.add('--no-wait')['status'])

    def test_add_by_name(self):
        shown = self.data(member.AddMember, 'prod-web-app',
                          '--instance-id', 'web-1')
        self.assertRegex(shown['instance_id'], r'^[0-9a-f-]{36}$')
        with self.assertRaisesRegex(osc_exc.NotFound, 'No server'):
            self.run_command(member.AddMember, 'prod-web-app',
                             '--instance-id', 'web')

    def test_blocked_message(self):
        self.b.down = True
        with self.assertRaises(osc_exc.CommandError) as caught:
            self.add()
        self.assertEqual(
            'Error: Cannot modify protection group - remote site '
            'unreachable.\nReason: Modification requires both sites to be '
            'reachable to prevent metadata divergence.\nAction: Wait for '
            'the remote site to recover, then run:\nopenstack protector '
            'protection-group sync-force prod-web-app',
            str(caught.exception))

    def test_list_show_remove(self):
        made = self.add()
        self.assertRegex(
            self.run_command(member.ListMember, 'prod-web-app'),
            r'\| ID +\| Instance Name +\| Instance ID +\| Status +'
            r'\| Volumes \|')
        for ref in (made['id'], self.SERVER, 'web-server-1'):
            shown = self.data(member.ShowMember, 'prod-web-app', ref)
            self.assertEqual(made['id'], shown['id'])
        self.run_command(member.RemoveMember, 'prod-web-app',
                         '--member-id', made['id'])
        for fake in (self.a, self.b):
            self.assertEqual(
                [], fake.groups[self.group]['document']['members'])


class TestPolicy(base.CommandCase):
    ARGS = ('prod-web-app', '--primary-fa-url', 'https://a',
            '--secondary-fa-url', 'https://b', '--pure-pg-name', 'pg',
            '--replication-interval', '300', '--rpo-minutes', '15')

    def setUp(self):
        super(TestPolicy, self).setUp()
        self.make_group()

    def sent(self):
        return [body for method, path, body in self.a.requests
                if path.endswith('/policy') and method == 'POST'][0]

    def test_create_and_show(self):
        path = os.path.join(self.home, 'token')
        with open(path, 'w') as target:
            target.write('T-1\n')
        with self.assertLogs('keystoneauth', 'DEBUG') as logs:
            with mock.patch.dict(
                    os.environ, {policy.SECONDARY_ENV: 'T-2'}):
                self.run_command(policy.CreatePolicy, *(
                    self.ARGS + ('--primary-fa-token', '@' + path)))
        self.assertEqual({'policy': {
            'primary_fa_url': 'https://a', 'secondary_fa_url': 'https://b',
            'primary_fa_token': 'T-1', 'secondary_fa_token': 'T-2',
            'pure_pg_name': 'pg', 'replication_interval': 300,
            'rpo_minutes': 15}}, self.sent())
        self.assertNotIn('T-1', '\n'.join(logs.output))
        self.assertNotIn('T-2', '\n'.join(logs.output))
        shown = self.run_command(policy.ShowPolicy, 'prod-web-app')
        self.assertNotIn('token', shown)

    def test_tokens_from_standard_input(self):
        with mock.patch('sys.stdin', io.StringIO('T-1\nT-2\n')):
            self.run_command(policy.CreatePolicy, *(
                self.ARGS + ('--primary-fa-token', '-',
                             '--secondary-fa-token', '-')))
        self.assertEqual('T-2', self.sent()['policy'][
            'secondary_fa_token'])

    def test_secrets_instead_of_tokens(self):
        href = ('https://barbican/v1/secrets/'
                '6f1c0d2e-0000-4000-8000-0000000000aa')
        with mock.patch.dict(os.environ, {policy.PRIMARY_ENV: 'unused',
                                          policy.SECONDARY_ENV: 'T-2'}):
            self.run_command(policy.CreatePolicy, *(
                self.ARGS + ('--primary-fa-token-secret', href)))
        sent = self.sent()['policy']
        self.assertEqual(href, sent['primary_fa_token_secret'])
        self.assertNotIn('primary_fa_token', sent)
        self.assertEqual('T-2', sent['secondary_fa_token'])
        self.assertNotIn('secondary_fa_token_secret', sent)
        shown = self.data(policy.ShowPolicy, 'prod-web-app')
        self.assertEqual(
            policy.FIELDS + ('primary_fa_token_secret',), tuple(shown))

    def test_a_token_and_a_secret(self):
        asked = len(self.a.requests)
        with mock.patch('sys.stderr', io.StringIO()) as said:
            with self.assertRaises((Exception, SystemExit)):
                self.run_command(policy.CreatePolicy, *(
                    self.ARGS + ('--primary-fa-token', 'T-1',
                                 '--primary-fa-token-secret', 'S-1')))
        self.assertIn('not allowed with', said.getvalue())
        self.assertEqual(asked, len(self.a.requests))

    def test_no_token_and_no_terminal(self):
        with mock.patch('sys.stdin', io.StringIO('')):
            with self.assertRaisesRegex(osc_exc.CommandError, 'missing'):
                self.run_command(policy.CreatePolicy, *self.ARGS)

    def test_prompt(self):
        stdin = mock.Mock()
        stdin.isatty.return_value = True
        with mock.patch('getpass.getpass', return_value='T-3'):
            self.assertEqual('T-3', common.read_secret(
                None, 'token', stdin))


class TestSync(base.CommandCase):
    NOW = datetime.datetime(2025, 1, 15, 9, 15, 10)

    def setUp(self):
        super(TestSync, self).setUp()
        self.group = self.make_group()

    def status(self):
        # only the age of the last sync moves
        return re.sub(r'\(\d+ \w+ ago\)', '(5 seconds ago)',
                      self.run_command(sync.SyncStatus, 'prod-web-app'))

    def test_in_sync_letter_by_letter(self):
        self.assertEqual(u'''\
Sync Status: \u2705 IN SYNC

Local Metadata:
  Version: 1
  Current Site: site-a
  Last Modified: 2025-01-15T09:15:00Z

Remote Sync:
  Status: SYNCED
  Remote Version: 1
  Last Sync: 2025-01-15T09:15:05Z (5 seconds ago)

Validation:
  \u2705 Versions match (1 = 1)
  \u2705 Sync status is 'synced'
  \u2705 Last sync is recent

Both sites have identical metadata.
''', self.status())

    def test_age(self):
        self.assertEqual(
            '5 seconds ago', sync.ago('2025-01-15T09:15:05Z', self.NOW))
        self.assertEqual(
            '1 minute ago', sync.ago('2025-01-15T09:14:05.123Z', self.NOW))
        self.assertEqual('', sync.ago('rubbish'))

    def test_out_of_sync(self):
        self.a.groups[self.group]['document']['version'] = 5
        self.a.groups[self.group]['sync'] = 'failed'
        text = self.status()
        self.assertIn('OUT OF SYNC', text)
        self.assertIn('Status: FAILED', text)
        self.assertIn('Versions differ (5 != 1)', text)
        self.assertIn('sync-force prod-web-app', text)

    def test_diverged_with_equal_versions(self):
        self.b.groups[self.group]['document']['description'] = 'other'
        self.assertIn('contents differ', self.status())

    def test_unknown_to_the_peer(self):
        del self.b.groups[self.group]
        text = self.status()
        self.assertIn('Remote Version: none', text)
        self.assertIn('site-b does not hold this group', text)

    def test_unreachable(self):
        self.b.down = True
        text = self.status()
        self.assertIn('Sync Status: ' + formatters.WARNING
                      + ' UNREACHABLE', text)
        self.assertIn('Status: UNREACHABLE', text)
        shown = self.data(sync.SyncStatus, 'prod-web-app')
        self.assertEqual('UNREACHABLE', shown['remote_status'])

    def test_json(self):
        shown = self.data(sync.SyncStatus, 'prod-web-app')
        self.assertEqual(
            ('IN SYNC', 1, 'SYNCED', 1),
            (shown['sync_status'], shown['local_version'],
             shown['remote_status'], shown['remote_version']))

    def test_force_letter_by_letter(self):
        text = self.run_command(sync.SyncForce, 'prod-web-app')
        self.assertEqual(u'''\
Force Sync Initiated...

Checking remote site connectivity...
  \u2705 site-b is reachable

Syncing metadata (version 1)...
  Gathering current metadata... \u2713
  Calculating checksum... \u2713
  Pushing to site-b... \u2713

Remote Site Response:
  Status: success
  Version: 1
  Duration: 450ms

\u2705 Sync completed successfully
Both sites now at version 1
''', re.sub(r'\d+ms', '450ms', text))

    def test_force_json(self):
        self.assertEqual('success', self.data(
            sync.SyncForce, 'prod-web-app')['status'])

    def test_force_with_peer_down(self):
        self.b.down = True
        with self.assertRaisesRegex(osc_exc.CommandError, 'Sync failed'):
            self.run_command(sync.SyncForce, 'prod-web-app')
        self.assertIn('site-b is not reachable',
                      self.app.stdout.getvalue())

    def test_force_refused(self):
        self.b.fail[('PUT', '/metadata')] = 409
        with self.assertRaisesRegex(
                osc_exc.CommandError, 'made to fail'):
            self.run_command(sync.SyncForce, 'prod-web-app')
        self.assertIn('Pushing to site-b... ' + formatters.CROSS,
                      self.app.stdout.getvalue())

    def test_log(self):
        self.a.logs[self.group] = [{
            'at': '2025-01-15T09:15:05Z', 'event': 'receipt', 'epoch': 1,
            'version': 1, 'message': 'm'}]
        self.assertEqual(1, len(self.data(
            sync.SyncLog, 'prod-web-app', '--limit', '10')))

    def test_plain_letters_where_marks_can_not_be_shown(self):
        stream = io.TextIOWrapper(io.BytesIO(), 'ascii')
        self.assertEqual('[OK] a ok', formatters.printable(
            '%s a %s' % (formatters.CHECK, formatters.TICK), stream))


class TestOperation(base.CommandCase):
    def setUp(self):
        super(TestOperation, self).setUp()
        self.make_group()
        self.made = self.data(action.Failover, 'prod-web-app')

    def test_list(self):
        text = self.run_command(
            operation.ListOperation, '--protection-group', 'prod-web-app')
        self.assertRegex(
            text, r'\| ID +\| PROTECTION_GROUP +\| TYPE +\| STATUS +'
            r'\| PROGRESS +\| STARTED_AT +\|')
        self.assertRegex(text, r'\| 2025-03-12T09:14:02 +\|')

    def test_show(self):
        text = self.run_command(operation.ShowOperation, self.made['id'])
        self.assertRegex(text, r'error_message +\| None')
        self.assertRegex(
            text,
            r'steps_completed +\| \["prepare", "storage_failover"\]')
        self.assertRegex(text, r'steps_failed +\| \[\]')
        self.assertRegex(text, r'result_data +\| \{\}')

    def test_show_from_the_other_site(self):
        self.use(self.b)
        shown = self.data(operation.ShowOperation, self.made['id'])
        self.assertEqual(self.made['id'], shown['id'])
        self.assertIn('site-a', self.app.stderr.getvalue())

    def word(self):
        return self.a.operations[self.made['id']]['told']

    def test_cancel_and_retry(self):
        for command, word in ((operation.CancelOperation, 'cancel'),
                              (operation.RetryOperation, 'retry')):
            shown = self.data(command, self.made['id'])
            self.assertEqual(self.made['id'], shown['id'])
            self.assertEqual({word: {}}, self.word())

    def test_resolve(self):
        self.data(operation.ResolveOperation, self.made['id'],
                  '--decision', 'roll-back')
        self.assertEqual(
            {'resolve': {'decision': 'roll_back'}}, self.word())
        self.data(operation.ResolveOperation, self.made['id'],
                  '--decision', 'abandon', '--note', 'lost')
        self.assertEqual(
            {'resolve': {'decision': 'abandon', 'note': 'lost'}},
            self.word())

    def test_told_on_the_site_that_has_it(self):
        self.use(self.b)
        self.data(operation.CancelOperation, self.made['id'])
        self.assertEqual({'cancel': {}}, self.word())

    def test_unknown(self):
        with self.assertRaisesRegex(
                osc_exc.CommandError, r'Operation not found. \(HTTP 404\)'):
            self.run_command(operation.ShowOperation, 'x')


class TestVersion(base.CommandCase):
    def test_show(self):
        self.b.down = True
        rows = self.data(version.ShowVersion)
        self.assertEqual(['client', 'site-a', 'site-b'],
                         [row['who'] for row in rows])
        self.assertEqual('1.0 - 1.1', rows[1]['api'])
        self.assertTrue(rows[2]['reason'])

    def test_negotiation(self):
        for served, asked in ((('1.0', '1.0'), '1.0'),
                              (('1.0', '1.7'), '1.1')):
            self.a.version = served
            self.assertEqual(asked, self.client(self.a).api_version())
        self.a.version = ('1.5', '1.7')
        self.assertRaises(exceptions.ProtectorError,
                          self.client(self.a).api_version)

    def test_refused_version(self):
        with self.assertRaisesRegex(exceptions.HttpError, 'HTTP 406'):
            self.client(self.a, api_version='1.9').sites()

    def test_rejected_token(self):
        self.requests.register_uri(
            'GET', self.a.base + '/v1/%s/sites' % self.a.project,
            status_code=401, json={'unauthorized': {
                'code': 401, 'message': 'The request you have made '
                'requires authentication.'}})
        with self.assertRaisesRegex(
                osc_exc.CommandError,
                r'^The request you have made requires authentication. '
                r'\(HTTP 401\)$'):
            self.run_command(site.ListSite)
