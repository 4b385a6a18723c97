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


"""What a failover would find, before anybody needs to know."""

from protectorclient.osc import common
from protectorclient.osc.v1 import action

COLUMNS = (
    ('Severity', 'severity'),
    ('Check', 'check'),
    ('Member', 'member'),
    ('Finding', 'message'),
    ('Remedy', 'remedy'),
)


class Preflight(common.Lister):
    """Look at what a failover of a protection group would find

    Nothing is changed on any site. Each finding is listed with its reason
    and with what to do about it; the command ends with 1 if one of them
    would stop the failover or leave a member behind.
    """

    #: the exit code where something stands in the way
    code = 0

    def run(self, parsed_args):
        return super(Preflight, self).run(parsed_args) or self.code

    def get_parser(self, prog_name):
        parser = super(Preflight, self).get_parser(prog_name)
        parser.add_argument(
            'protection_group', metavar='<protection-group>',
            help='Name or id of the protection group')
        action.add_failover_type(parser)
        action.add_mappings(parser)
        return parser

    def take_action(self, parsed_args):
        options = {'type': parsed_args.failover_type}
        mappings = action.read_mappings(parsed_args)
        if mappings:
            options['mappings'] = mappings
        group, pair = self.find(parsed_args.protection_group)
        found = pair.preflight(group['id'], options)
        self._tell(group['name'], found)
        if not found.get('ready'):
            self.code = 1
        return common.table(found.get('findings') or [], COLUMNS)

    def _tell(self, name, found):
        snapshot = found.get('snapshot')
        if snapshot:
            self.tell('Data as of %s (snapshot %s).' % (
                snapshot.get('created'), snapshot.get('suffix')))
        if found.get('facts_read_at'):
            self.tell('Servers as they were seen at %s.'
                      % found['facts_read_at'])
        self.tell('%s: %s' % (name, (
            'nothing stands in the way.' if found.get('ready') else
            'not ready; see the findings.')))
