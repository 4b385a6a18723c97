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

"""Edits that were lost in a takeover, told and applied again."""

import unittest

from osc_lib import exceptions as osc_exc

from protectorclient import exceptions
from protectorclient import lost
from protectorclient.osc.v1 import lost as commands
from protectorclient.osc.v1 import sync
from tests.unit import base

DESCRIPTION = {'change': 'description', 'from': '', 'to': 'lost'}
MAPPING = {'change': 'mapping', 'of': 'networks', 'source': 'front',
           'from': None, 'to': 'front-dr'}
MEMBER = {'id': 'm-1', 'instance_id': 'srv-1', 'instance_name': 'web'}
ADDED = {'change': 'member_added', 'member': MEMBER}


class TestWords(unittest.TestCase):
    def test_each_change_in_words(self):
        intent = {'operation_id': 'op', 'kind': 'failover',
                  'state': {'state': 'open'}}
        policy = {'pure_pg_name': 'pg', 'primary': {'url': 'https://a'},
                  'secondary': {'url': 'https://b'},
                  'replication_interval_seconds': 300, 'rpo_minutes': 15}
        for change, words in (
                (DESCRIPTION, "description: '' -> 'lost'"),
                (MAPPING, "mapping of network 'front': none -> 'front-dr'"),
                (ADDED, 'member added: web (server srv-1)'),
                ({'change': 'member_removed', 'member': MEMBER},
                 'member removed: web (server srv-1)'),
                ({'change': 'policy', 'from': None, 'to': policy},
                 'replication policy: none -> pg on https://a and '
                 'https://b, every 300 s, RPO 15 min'),
                ({'change': 'operation', 'intent': intent},
                 'failover op was announced'),
                ({'change': 'operation', 'intent': dict(
                    intent, state={'state': 'closed',
                                   'outcome': 'completed'})},
                 'failover op ended (completed)'),
                ({'change': 'primary', 'from': {'name': 'site-a'},
                  'to': {'name': 'site-b'}}, 'runs at: site-a -> site-b'),
                ({'change': 'other', 'field': 'projects'}, 'projects'),
                ({'change': 'of a later release'}, 'of a later release')):
            self.assertEqual(words, lost.words(change))
            self.assertIsInstance(
                lost.instead(change, 'g', 'site-a'), (str, type(None)))

    def test_an_edit_that_is_not_known(self):
        self.assertIn('not known', lost.describe(
            {'id': '1.2', 'changes': None}))
        self.assertEqual('nothing', lost.describe(
            {'id': '1.2', 'changes': []}))


class TestReapply(base.CommandCase):
    def setUp(self):
        super(TestReapply, self).setUp()
        self.group = self.make_group()
        for site in (self.a, self.b):
            doc = site.groups[self.group]['document']
            doc.update(mappings={'networks': {'back': 'back-dr'}},
                       description='', epoch=2, version=6,
                       current_primary_site_id=self.b.id)

    def lose(self, *changes, **options):
        version = options.get('version', 5)
        self.a.logs.setdefault(self.group, []).insert(0, {
            'at': 't', 'event': 'superseded', 'epoch': 1,
            'version': version, 'message': 'm', 'lost_edit': {
                'id': '1.%d' % version,
                'changes': options.get('known', list(changes)),
                'document': {}}})

    def held(self):
        documents = [site.groups[self.group]['document']
                     for site in (self.a, self.b)]
        self.assertEqual(*documents)
        return documents[0]

    def reapply(self, *words):
        return self.data(commands.SyncReapply, 'prod-web-app', *words)

    def refused(self, part, *words):
        with self.assertRaisesRegex(osc_exc.CommandError, part):
            self.reapply(*words)

    def test_applied_once_and_told(self):
        self.lose(DESCRIPTION, MAPPING)
        rows = self.reapply()
        self.assertEqual(0, self.code)
        self.assertEqual(
            [('1.5', 'applied', None)] * 2,
            [(row['edit'], row['result'], row['remedy']) for row in rows])
        held = self.held()
        self.assertEqual('lost', held['description'])
        self.assertEqual({'back': 'back-dr', 'front': 'front-dr'},
                         held['mappings']['networks'])
        self.assertEqual('reapplied', self.a.logs[self.group][0]['event'])
        # Once more, from the other site: nothing moves.
        self.use(self.b)
        before = held['version']
        rows = self.reapply('--edit', '1.5')
        self.assertEqual({'applied before'}, {row['result'] for row in rows})
        self.assertIn('applied again already', self.app.stderr.getvalue())
        self.assertEqual(before, self.held()['version'])
        self.assertEqual(2, len(self.a.logs[self.group]))

    def test_what_is_there_is_only_noted(self):
        self.lose(DESCRIPTION)
        for site in (self.a, self.b):
            site.groups[self.group]['document']['description'] = 'lost'
        self.assertEqual('there already', self.reapply()[0]['result'])
        self.assertEqual(6, self.held()['version'])
        self.assertEqual('reapplied', self.a.logs[self.group][0]['event'])

    def test_what_was_changed_since_is_left_alone(self):
        self.lose(DESCRIPTION)
        for site in (self.a, self.b):
            site.groups[self.group]['document']['description'] = 'newer'
        (row,) = self.reapply()
        self.assertEqual((1, 'not applied'), (self.code, row['result']))
        self.assertIn('--overwrite', row['remedy'])
        self.assertEqual('newer', self.held()['description'])
        self.assertEqual('applied',
                         self.reapply('--overwrite')[0]['result'])
        self.assertEqual('lost', self.held()['description'])

    def test_a_member_is_taken_out(self):
        for site in (self.a, self.b):
            site.groups[self.group]['document']['members'].append(
                dict(MEMBER))
        self.lose({'change': 'member_removed', 'member': MEMBER})
        self.assertEqual('applied', self.reapply()[0]['result'])
        self.assertEqual([], self.held()['members'])

    def test_what_no_call_makes_is_told_with_what_to_do(self):
        self.lose(ADDED)
        (row,) = self.reapply()
        self.assertEqual((1, 'not applied'), (self.code, row['result']))
        self.assertIn('member-add prod-web-app --instance-id srv-1',
                      row['remedy'])
        self.assertEqual(6, self.held()['version'])
        self.assertEqual(1, len(self.a.logs[self.group]))

    def test_another_client_came_between(self):
        self.lose(DESCRIPTION)
        kept = lost.LostEdits(self.pair(self.b, self.a), self.group, 'g')
        edit = kept.choose()
        for site in (self.a, self.b):
            site.groups[self.group]['document']['description'] = 'newer'
        exc = self.caught(exceptions.ProtectorError, kept.apply, edit)
        self.assertIn('meanwhile', str(exc))
        self.assertEqual('newer', self.held()['description'])

    def test_which_one(self):
        self.refused('none was lost')
        self.lose(DESCRIPTION)
        self.lose(MAPPING, version=7)
        self.refused(r'choose one with --edit: 1\.5, 1\.7')
        self.refused(r"No edit '9\.9'.*Kept are: 1\.5, 1\.7", '--edit',
                     '9.9')
        self.reapply('--edit', '1.7')
        self.assertEqual('', self.held()['description'])
        # One is left, so it is meant.
        self.assertEqual('1.5', self.reapply()[0]['edit'])

    def test_of_what_is_not_known_nothing_is_guessed(self):
        self.lose(known=None)
        self.refused('is not known.*\n.*sync-log prod-web-app -f json')

    def test_news_that_were_not_brought_yet_are_brought_first(self):
        self.b.groups[self.group]['sync'] = 'pending'
        self.refused('none was lost')
        self.assertEqual('synced', self.b.groups[self.group]['sync'])
        self.assertIn('had not reached site site-a',
                      self.app.stderr.getvalue())

    def test_both_sites_are_needed(self):
        self.b.down = True
        self.refused('remote site unreachable')

    def test_the_log_says_what_was_lost_and_how_to_apply_it(self):
        self.lose(DESCRIPTION)
        text = self.run_command(sync.SyncLog, 'prod-web-app')
        self.assertIn("1.5: description: '' -> 'lost' (not in the group)",
                      text)
        self.assertIn('sync-reapply prod-web-app --edit 1.5',
                      self.app.stderr.getvalue())
        self.reapply()
        (last, line) = self.data(sync.SyncLog, 'prod-web-app')
        self.assertEqual(('reapplied', None),
                         (last['event'], last['lost_edit']))
        self.assertEqual('there', line['lost_edit']['changes'][0]['standing'])
        self.assertEqual('', self.app.stderr.getvalue())
