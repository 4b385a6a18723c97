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

"""A pair of sites, looked at from both sides.

Each site looks at the other one; what the two differ in themselves, only
their client can see.
"""

import datetime
import time

from protectorclient import exceptions

#: seconds by which clocks may differ; statements are good for 60
TOLERANCE = 5.0


class Look(object):
    """What one site's protector found when it looked at another site."""

    def __init__(self, by, at, answer, answered):
        #: the site's name, and that of the one it looked at
        self.by = by
        self.at = at
        self.site = answer.get('site') or {}
        self.checks = answer.get('checks') or []
        #: what the looking site says of itself; older ones say nothing
        self.own = answer.get('protector') or {}
        self._answered = answered

    def rows(self):
        """The checks, each with its direction."""
        return [dict(check, direction=direction(self.by, self.at))
                for check in self.checks]

    def ahead(self):
        """Seconds by which its clock is ahead of this machine's."""
        now = moment(self.own.get('now'))
        return None if now is None else now - self._answered


def direction(by, at):
    return '%s -> %s' % (by, at)


def moment(text):
    """Seconds since 1970 from RFC 3339 in UTC; None if it isn't that."""
    try:
        whole, _, fraction = str(text).rstrip('Z').partition('.')
        parsed = datetime.datetime.strptime(whole, '%Y-%m-%dT%H:%M:%S')
        since = parsed - datetime.datetime(1970, 1, 1)
        return since.total_seconds() + float('0.' + (fraction or '0'))
    except ValueError:
        return None


def look(client, by, row, clock=time.time):
    """Let the site called ``by`` look at the site of this row."""
    answer = client.site_validate(row['id'])
    return Look(by, row['name'], answer, clock())


def not_asked(by, at, reason):
    """In place of a look that nobody could be asked for."""
    return {'name': 'protector', 'ok': False, 'direction': direction(by, at),
            'message': 'Site %s was not asked: %s' % (by, reason)}


def between(one, other):
    """What two protectors differ in, from the looks of both."""
    rows = [_release(one, other), _api(one, other), _clock(one, other)]
    both = '%s <-> %s' % (one.by, other.by)
    return [{'name': name, 'ok': ok, 'message': message, 'direction': both}
            for name, ok, message in (row for row in rows if row)]


def _release(one, other):
    here, there = one.own.get('release'), other.own.get('release')
    if not here or not there:
        older = one.by if not here else other.by
        return ('release', False,
                'Protector at %s does not say its release: it is older '
                'than that of the other site. Upgrade it.' % older)
    if here == there:
        return 'release', True, 'Both run protector %s.' % here
    return ('release', False,
            'Protector is %s at %s and %s at %s: upgrade the older one '
            'before the next change.' % (here, one.by, there, other.by))


def _api(one, other):
    here, there = one.own.get('max_version'), other.own.get('max_version')
    if not here or not there or here == there:
        return None
    return ('api_version', False,
            'The API goes up to %s at %s and to %s at %s: what is newer '
            'than either does not work for a group of both.'
            % (here, one.by, there, other.by))


def _clock(one, other):
    here, there = one.ahead(), other.ahead()
    if here is None or there is None:
        return None
    apart = abs(here - there)
    if apart <= TOLERANCE:
        return 'clocks', True, 'The clocks of both protectors agree.'
    ahead, behind = (one, other) if here > there else (other, one)
    return ('clocks', False,
            'The clock of protector at %s is %d seconds ahead of that at '
            '%s: let both follow the same time (chrony, NTP). Statements '
            'between the sites are good for 60 seconds.'
            % (ahead.by, round(apart), behind.by))


def validate(client, local, row, rows, connect):
    """Look at ``row`` from here, and back from the other site.

    ``connect(row)`` signs in at another site. Answers the first look and
    the checks of all directions.
    """
    first = look(client, local['name'], row)
    checks = first.rows()
    others = [row] if row['id'] != local['id'] else [
        other for other in rows if other['id'] != local['id']]
    for other in others:
        try:
            there = connect(other)
            known = next((known for known in there.sites()
                          if known['id'] == local['id']), None)
            if known is None:
                raise exceptions.ProtectorError(
                    'it does not know site %s; run `openstack protector '
                    'site set %s` to write it there' % (
                        local['name'], local['name']))
            back = look(there, other['name'], known)
        except exceptions.ProtectorError as exc:
            checks.append(not_asked(other['name'], local['name'], exc))
            continue
        checks.extend(back.rows())
        checks.extend(between(first, back))
    return first, checks
