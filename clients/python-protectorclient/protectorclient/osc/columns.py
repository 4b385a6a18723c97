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

"""Columns that print as the documents do."""

import json

from cliff import columns

from protectorclient import lost


class Ordered(columns.FormattableColumn):
    """A list or mapping as JSON text, in the order in which it came.

    osc_lib's own columns sort, which would turn a sequence of steps around.
    """

    def human_readable(self):
        value = [] if self._value is None else self._value
        return json.dumps(value, ensure_ascii=False)

    def machine_readable(self):
        return self._value


class Time(columns.FormattableColumn):
    """A UTC time without its zone in tables, complete for machines."""

    def human_readable(self):
        text = self._value
        if not text:
            return ''
        text = str(text)
        return text[:-1].split('.')[0] if text.endswith('Z') else text

    def machine_readable(self):
        return self._value


class Truth(columns.FormattableColumn):
    """Yes or no where an operator reads, true or false elsewhere."""

    def human_readable(self):
        return {True: 'yes', False: 'no'}.get(self._value, '')

    def machine_readable(self):
        return self._value


class Fencing(columns.FormattableColumn):
    """How a site that lost a group is kept away from it, in one line."""

    def human_readable(self):
        fence = self._value
        if not fence:
            return ''
        text = '%s: %s' % (fence.get('site') or fence.get('site_id'),
                           fence.get('status'))
        if fence.get('reason'):
            text = '%s (%s)' % (text, fence['reason'])
        elif fence.get('replicated_back_at'):
            text = '%s, replicated back' % text
        return text

    def machine_readable(self):
        return self._value


class LostEdit(columns.FormattableColumn):
    """What was in a version that never crossed, in words."""

    def human_readable(self):
        edit = self._value
        if not edit:
            return ''
        return '%s: %s' % (edit['id'], lost.describe(edit))

    def machine_readable(self):
        return self._value
