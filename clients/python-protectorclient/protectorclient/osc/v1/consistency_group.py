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

"""Consistency groups: the Cinder side of a protection group."""

from protectorclient.osc import common

FIELDS = ('id', 'protection_group_id', 'volume_type_name', 'backend_name',
          'primary_cg_id', 'secondary_cg_id', 'status', 'volume_count')


class ShowConsistencyGroup(common.ShowOne):
    """Show the consistency group of a protection group"""

    def get_parser(self, prog_name):
        parser = super(ShowConsistencyGroup, self).get_parser(prog_name)
        parser.add_argument(
            'protection_group', metavar='<protection-group>',
            help='Name or id of the protection group')
        return parser

    def take_action(self, parsed_args):
        group = self.client.find_group(parsed_args.protection_group)
        return common.pick(
            self.client.consistency_group(group['id']), FIELDS)
