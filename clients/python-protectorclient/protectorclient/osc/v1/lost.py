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

"""Applying again what a takeover by the other site has cost."""

from osc_lib import exceptions as osc_exc

from protectorclient import lost
from protectorclient.osc import common

COLUMNS = ('edit', 'change', 'result', 'remedy')


class SyncReapply(common.Lister):
    """Apply again an edit of a group that was lost in a takeover

    An edit that had not reached the other site when that one took the group
    over is not valid any more, but the site that lost the group keeps what
    it changed: look with `protection-group sync-log` there. This command
    makes the same changes again where the group runs now, as if they were
    typed there, and tells the other site. It needs both sites.

    A name, a description, mappings and the removal of a member are applied.
    Of all else the command says what to do instead. What was changed
    otherwise since the takeover is left alone unless --overwrite is given.

    The command ends with 1 if something of the edit was not applied. To run
    it again changes nothing.
    """

    #: the exit code where something is left to be done
    code = 0

    def run(self, parsed_args):
        return super(SyncReapply, self).run(parsed_args) or self.code

    def get_parser(self, prog_name):
        parser = super(SyncReapply, self).get_parser(prog_name)
        parser.add_argument(
            'protection_group', metavar='<protection-group>',
            help='Name or id of the protection group')
        parser.add_argument(
            '--edit', metavar='<epoch.version>',
            help='Which edit, as the column lost_edit of sync-log names it '
                 '(default: the only one that was not applied again yet)')
        parser.add_argument(
            '--overwrite', action='store_true',
            help='Also where the group was changed otherwise since')
        return parser

    def take_action(self, parsed_args):
        group, pair = self.find(parsed_args.protection_group)
        edits = lost.LostEdits(pair, group['id'], group['name'])
        edits.bring_news()
        kept = edits.choose(parsed_args.edit)
        if kept.again is not None:
            self.tell('Edit %s was applied again already, and nothing was '
                      'changed: %s.' % (kept.id, kept.again['message']))
            return self._table(kept, [
                (change, 'applied before', None) for change in kept.changes])
        if kept.changes is None:
            raise osc_exc.CommandError(
                'What edit %s changed is not known: it was made by a release '
                'that did not keep the version before it. All that was in it '
                'is shown at site %s by:\nopenstack protector '
                'protection-group sync-log %s -f json' % (
                    kept.id, kept.site.name, group['name']))
        rows = edits.apply(kept, parsed_args.overwrite)
        if edits.note(kept):
            self.tell('Both sites have all of edit %s now; the sync log of '
                      '%s says so.' % (kept.id, kept.site.name))
        else:
            self.code = 1
            self.tell('Not all of edit %s was applied; the column remedy '
                      'says what to do instead.' % kept.id)
        return self._table(kept, rows)

    @staticmethod
    def _table(kept, rows):
        return COLUMNS, [
            (kept.id, lost.words(change), result, remedy)
            for change, result, remedy in rows]
